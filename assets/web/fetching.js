// The page's own files, with what has come so far; a gzip file is unpacked.

// load(path) -> Promise of bytes. sizes: path -> bytes; onBytes(count) as they come.
export function fetched(sizes, onBytes) {
  return async (path) => {
    const answer = await fetch(new URL(path, import.meta.url));
    if (!answer.ok) throw new Error(`The page's file ${path} cannot be loaded (${answer.status}): copy the whole folder.`);
    const bytes = new Uint8Array(sizes[path]);
    let at = 0, rest = [];
    for (const reader = answer.body.getReader(); ; ) {
      const { value, done } = await reader.read();
      if (done) break;
      // A server that unpacks gzip by itself sends more than the file has.
      if (at + value.length > bytes.length || rest.length) rest.push(value);
      else bytes.set(value, at);
      at += value.length;
      onBytes(value.length);
    }
    const whole = rest.length ? await joined([bytes.subarray(0, at - length(rest)), ...rest]) : bytes.subarray(0, at);
    const isPacked = whole[0] === 0x1f && whole[1] === 0x8b;
    return isPacked ? unpacked(whole) : whole;
  };
}

function length(blocks) {
  return blocks.reduce((sum, block) => sum + block.length, 0);
}

async function joined(blocks) {
  return new Uint8Array(await new Blob(blocks).arrayBuffer());
}

async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
