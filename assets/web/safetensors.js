// The tensors in a safetensors file: name -> { shape, data }; half-precision numbers are widened.

const MOST_HEADER_BYTES = 256 << 10;
const KINDS = { F32: Float32Array, F64: Float64Array, U16: Uint16Array, U32: Uint32Array };

export function readTensors(bytes) {
  const damaged = (reason) => new Error(`Its tensors cannot be read (${reason}): get the file again.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8) throw damaged("it is cut short");
  const size = Number(view.getBigUint64(0, true));
  if (size > MOST_HEADER_BYTES || 8 + size > bytes.length) throw damaged("its header is too long");
  let header;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + size)));
  } catch {
    throw damaged("its header is no JSON");
  }
  const body = bytes.subarray(8 + size), tensors = {};
  for (const [name, { dtype, shape, data_offsets: offsets }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const count = shape.reduce((product, axis) => product * axis, 1);
    const width = dtype === "F16" ? 2 : KINDS[dtype]?.BYTES_PER_ELEMENT;
    const [start, end] = offsets;
    const isWhole = width && 0 <= start && end <= body.length && end - start === count * width;
    if (!isWhole) throw damaged(name.slice(0, 80));
    const data = body.slice(start, end).buffer; // a copy, since numbers must lie at multiples of their width
    tensors[name] = { shape, data: dtype === "F16" ? widened(new Uint16Array(data)) : new KINDS[dtype](data) };
  }
  return tensors;
}

function widened(halves) {
  return Float32Array.from(halves, (half) => {
    const sign = half & 0x8000 ? -1 : 1, exponent = (half >> 10) & 0x1f, fraction = half & 0x3ff;
    if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
  });
}
