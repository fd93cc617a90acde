// The files in a zip, each of at most so many bytes: name -> bytes. It knows no file by its meaning.

const MOST_DIRECTORY_BYTES = 4096; // nine short names need 600
const END = 0x06054b50, ENTRY = 0x02014b50;
const END_BYTES = 22, ENTRY_BYTES = 46, LOCAL_BYTES = 30;
const STORED = 0, DEFLATED = 8;

export async function readZip(bytes, mostBytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length - END_BYTES;
  if (end < 0 || view.getUint32(end, true) !== END) throw new Error("It is no lect pack, or is cut short: copy it again.");
  const count = view.getUint16(end + 10, true), size = view.getUint32(end + 12, true);
  if (size > MOST_DIRECTORY_BYTES) throw new Error("It lists far more files than a lect pack has: do not use it.");
  const files = new Map();
  let at = view.getUint32(end + 16, true);
  for (let entry = 0; entry < count; entry++) {
    if (at + ENTRY_BYTES > end || view.getUint32(at, true) !== ENTRY) throw new Error("It is damaged: copy it again.");
    const nameBytes = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(bytes.subarray(at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes));
    if (/[/\\:]|^\./.test(name) || files.has(name)) throw new Error("It holds a file that no pack has: do not use it.");
    files.set(name, await content(bytes, view, at, mostBytes));
    at += ENTRY_BYTES + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return files;
}

async function content(bytes, view, at, mostBytes) {
  const flags = view.getUint16(at + 8, true), method = view.getUint16(at + 10, true);
  const packed = view.getUint32(at + 20, true), size = view.getUint32(at + 24, true), local = view.getUint32(at + 42, true);
  if (flags & 1 || ![STORED, DEFLATED].includes(method)) throw new Error("It is encrypted or packed in an unusual way.");
  if (size > mostBytes || local + LOCAL_BYTES > bytes.length) throw new Error("It unpacks to more than a pack may hold.");
  const start = local + LOCAL_BYTES + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  const data = bytes.subarray(start, start + packed);
  const unpacked = method === STORED ? data : await inflated(data, size);
  if (unpacked.length !== size) throw new Error("It unpacks to another size than it says: do not use it.");
  return unpacked;
}

async function inflated(data, most) {
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const blocks = [];
  let size = 0;
  for (const reader = stream.getReader(); ; ) {
    const { value, done } = await reader.read();
    if (done) break;
    blocks.push(value);
    size += value.length;
    if (size > most) throw new Error("It unpacks to another size than it says: do not use it.");
  }
  return new Uint8Array(await new Blob(blocks).arrayBuffer());
}
