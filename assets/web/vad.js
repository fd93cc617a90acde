// How likely each 32 ms are speech, by Silero's network, as exports/vad.py.

import { FRAME_SAMPLES } from "./segments.js";

const CONTEXT = 64; // samples that the network sees before each frame
const STATE = [1, 1, 128];
const BLOCK = 1 << 16; // a multiple of FRAME_SAMPLES, and as many as the Python runtime reads at once

// { samples, likely } of one block after the other.
export async function* speech(ort, session, samples) {
  const zeros = () => new ort.Tensor("float32", new Float32Array(STATE[2]), STATE);
  let h = zeros(), c = zeros();
  for (let start = 0; start < samples.length; start += BLOCK) {
    const block = samples.slice(start, start + BLOCK);
    const count = Math.ceil(block.length / FRAME_SAMPLES), size = CONTEXT + FRAME_SAMPLES;
    const frames = new Float32Array(count * size);
    for (let frame = 0; frame < count; frame++) {
      const from = start + frame * FRAME_SAMPLES - CONTEXT;
      const seen = samples.subarray(Math.max(0, from), from + size);
      frames.set(seen, frame * size + Math.max(0, -from));
    }
    const input = new ort.Tensor("float32", frames, [count, size]);
    const outputs = await session.run({ input, h, c });
    const [likely, grownH, grownC] = session.outputNames.map((name) => outputs[name]);
    [h, c] = [grownH, grownC];
    yield { samples: block, likely: likely.data };
  }
}
