// WAV files, read and written exactly: a browser's own decoder stretches the upper half of 16-bit sound by 1/32768,
// which is enough to change a letter now and then.

export const PCM = 1, FLOAT = 3, EXTENSIBLE = 0xfffe;

// { samples, rate }: the mean of the channels; null where it is no WAV file, or of a kind that is seldom.
export function readWav(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ascii = (at) => (at + 4 <= bytes.length ? String.fromCharCode(...bytes.subarray(at, at + 4)) : "");
  if (ascii(0) !== "RIFF" || ascii(8) !== "WAVE") return null;
  let format = null;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = view.getUint32(at + 4, true), body = at + 8;
    if (ascii(at) === "fmt " && body + 16 <= bytes.length) {
      const kind = view.getUint16(body, true);
      format = {
        kind: kind === EXTENSIBLE && size >= 26 ? view.getUint16(body + 24, true) : kind,
        channels: view.getUint16(body + 2, true),
        rate: view.getUint32(body + 4, true),
        width: view.getUint16(body + 14, true) / 8,
      };
    }
    if (ascii(at) === "data" && format) {
      const read = reader(view, format);
      return read && { samples: mixed(read, format, body, Math.min(size, bytes.length - body)), rate: format.rate };
    }
    at = body + size + (size % 2);
  }
  return null;
}

function reader(view, { kind, channels, rate, width }) {
  if (!channels || !rate) return null;
  const readers = {
    [`${PCM} 2`]: (at) => view.getInt16(at, true) / 2 ** 15,
    [`${PCM} 3`]: (at) => (view.getUint16(at, true) | (view.getInt8(at + 2) << 16)) / 2 ** 23,
    [`${PCM} 4`]: (at) => view.getInt32(at, true) / 2 ** 31,
    [`${FLOAT} 4`]: (at) => view.getFloat32(at, true),
  };
  return readers[`${kind} ${width}`];
}

function mixed(read, { channels, width }, start, size) {
  const samples = new Float32Array(Math.floor(size / (channels * width)));
  for (let index = 0; index < samples.length; index++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) sum += read(start + (index * channels + channel) * width);
    samples[index] = sum / channels;
  }
  return samples;
}

// (samples,) as a file of 16 bits, so that what was recorded can be played and kept.
export function writeWav(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const ascii = (at, text) => [...text].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  ascii(0, "RIFF");
  ascii(8, "WAVEfmt ");
  ascii(36, "data");
  const longs = { 4: 36 + 2 * samples.length, 16: 16, 24: rate, 28: 2 * rate, 40: 2 * samples.length };
  for (const [at, value] of Object.entries(longs)) view.setUint32(Number(at), value, true);
  for (const [at, value] of Object.entries({ 20: PCM, 22: 1, 32: 2, 34: 16 })) view.setUint16(Number(at), value, true);
  samples.forEach((value, index) => {
    view.setInt16(44 + 2 * index, Math.max(-(2 ** 15), Math.min(2 ** 15 - 1, Math.round(2 ** 15 * value))), true);
  });
  return new Blob([view.buffer], { type: "audio/wav" });
}
