// Recordings to (samples,) at 16 kHz, mono: whatever the browser can decode.

export const RATE = 16000;

// A file's sound; the context resamples to its own rate. All of it lies in memory: an hour takes 230 MB a channel.
export async function fromFile(file) {
  const context = new OfflineAudioContext(1, 1, RATE);
  try {
    return mono(await context.decodeAudioData(await file.arrayBuffer()));
  } catch {
    throw new Error("The browser cannot read this file as sound: save it as WAV, FLAC, Ogg, MP3 or M4A.");
  }
}

// Samples at another rate, as a microphone gives them.
export async function resampled(samples, rate) {
  if (rate === RATE) return samples;
  const context = new OfflineAudioContext(1, Math.max(1, Math.round((samples.length / rate) * RATE)), RATE);
  const buffer = new AudioBuffer({ length: samples.length, sampleRate: rate });
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  source.start();
  return (await context.startRendering()).getChannelData(0);
}

// A WAV file of 16 bits, so that what was recorded can be played and kept.
export function wav(samples) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const ascii = (at, text) => [...text].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  const words = { 4: 36 + 2 * samples.length, 16: 16, 24: RATE, 28: 2 * RATE, 40: 2 * samples.length };
  ascii(0, "RIFF"), ascii(8, "WAVEfmt "), ascii(36, "data");
  for (const [at, value] of Object.entries(words)) view.setUint32(Number(at), value, true);
  for (const [at, value] of Object.entries({ 20: 1, 22: 1, 32: 2, 34: 16 })) view.setUint16(Number(at), value, true);
  samples.forEach((value, index) => {
    view.setInt16(44 + 2 * index, Math.max(-32768, Math.min(32767, Math.round(32768 * value))), true);
  });
  return new Blob([view.buffer], { type: "audio/wav" });
}

function mono(buffer) {
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, index) => buffer.getChannelData(index));
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, at) => channels.reduce((sum, channel) => sum + channel[at], 0) / channels.length);
}
