// When the words of a Whisper were spoken: by what its alignment heads attended to while it was searched, and by where
// there is sound. As exports/attended.py, exports/attention_times.py and engine/decoding/attention_alignment.py.

export const ATTENTION_REACH_S = 0.06; // at a pause a word may lie so far outside of its tokens; its silence is cut away
const LAG_S = 0.04; // the heads turn to the next token a little early
const SILENCE_SHARE = 0.3; // of the way from a clip's quiet to its loud frames: below it there is silence
const RATE = 16000, FRAME_SAMPLES = 160;
const MEDIAN_FRAMES = 7;
const TINY = 2 ** -126;
const PUNCTUATION = /^\p{P}+$/u, SPOKEN_MARKS = /[%‰&@#*/\\]/;

export class Attended {
  // frames: of the clip itself, without what fills a window.
  constructor(frames) {
    Object.assign(this, { frames, heads: 0, weights: new Map() });
  }

  // A step's: the tokens that each row has read, and the tensor (rows, heads, frames).
  note(read, { data, dims: [, heads, width] }) {
    Object.assign(this, { heads, frames: Math.min(this.frames, width) });
    for (const [row, tokens] of read.entries()) {
      const own = new Float32Array(heads * this.frames);
      for (let head = 0; head < heads; head++) {
        const from = (row * heads + head) * width, part = data.subarray(from, from + this.frames);
        const sum = Math.max(TINY, part.reduce((a, b) => a + b, 0));
        own.set(part.map((weight) => weight / sum), head * this.frames);
      }
      this.weights.set(tokens.join(), own);
    }
  }

  // Of the steps that predicted the tokens, behind those read before, and the end; null where nothing was noted.
  of(read, tokens) {
    const keys = Array.from({ length: tokens.length + 1 }, (_, end) => [...read, ...tokens.slice(0, end)].join());
    const steps = keys.map((key) => this.weights.get(key)).filter(Boolean);
    return steps.length ? { steps, heads: this.heads, frames: this.frames } : null;
  }
}

// [start, end] in seconds of each token; hop: seconds between frames. Punctuation takes no time: what heads give it is
// the pause that it stands for.
export function tokenSpans(attended, pieces, hop) {
  return attentionAlign(attended).map((frames, index) => {
    const [start, end] = frames.map((frame) => frame * hop + LAG_S), piece = pieces[index];
    if (!PUNCTUATION.test(piece.trim()) || SPOKEN_MARKS.test(piece)) return [start, end];
    return piece.startsWith(" ") ? [end, end] : [start, start];
  });
}

// [first, last) of the frames of each token, by dynamic time warping.
export function attentionAlign({ steps, heads, frames }) {
  if (steps.length < 2 || !frames) return [];
  const starts = warped(costs(steps, heads, frames));
  return starts.slice(1).map((end, index) => [starts[index], end]);
}

// Words from their first to their last frame with sound in (samples,).
export function withoutSilence(words, samples) {
  const heard = heardFrames(samples);
  return words.map((word) => {
    const from = Math.floor((word.start * RATE) / FRAME_SAMPLES), to = Math.ceil((word.end * RATE) / FRAME_SAMPLES);
    const part = heard.slice(from, to), first = part.indexOf(true), last = part.lastIndexOf(true);
    if (first < 0) return word;
    const start = ((from + first) * FRAME_SAMPLES) / RATE, end = ((from + last + 1) * FRAME_SAMPLES) / RATE;
    return { ...word, start: Math.max(word.start, start), end: Math.min(word.end, end) };
  });
}

// For each 10 ms whether there is more than the clip's silence.
function heardFrames(samples) {
  const levels = Array.from({ length: Math.floor(samples.length / FRAME_SAMPLES) }, (_, frame) => {
    let power = 0;
    for (let at = frame * FRAME_SAMPLES; at < (frame + 1) * FRAME_SAMPLES; at++) power += samples[at] ** 2;
    return Math.log10(power / FRAME_SAMPLES + 1e-12);
  });
  const sorted = levels.slice().sort((a, b) => a - b), quiet = quantile(sorted, 0.05), loud = quantile(sorted, 0.95);
  return levels.map((level) => level > quiet + SILENCE_SHARE * (loud - quiet));
}

function quantile(sorted, share) {
  const place = share * (sorted.length - 1), below = Math.floor(place);
  return sorted[below] + (place - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
}

// For each step (frames,): how little its heads attend to a frame, beside what they do in the other steps.
function costs(steps, heads, frames) {
  const size = heads * frames, mean = new Float64Array(size), spread = new Float64Array(size);
  for (let at = 0; at < size; at++) {
    for (const step of steps) mean[at] += step[at] / steps.length;
    for (const step of steps) spread[at] += (step[at] - mean[at]) ** 2 / steps.length;
    spread[at] = Math.max(TINY, Math.sqrt(spread[at]));
  }
  return steps.map((step) => {
    const typical = step.map((weight, at) => (weight - mean[at]) / spread[at]), cost = new Float64Array(frames);
    for (let head = 0; head < heads; head++) {
      const smooth = smoothed(typical.subarray(head * frames, (head + 1) * frames));
      for (let frame = 0; frame < frames; frame++) cost[frame] -= smooth[frame] / heads;
    }
    return cost;
  });
}

// The median over the frames around each, mirrored at the edges; few frames stay as they are.
function smoothed(values) {
  const around = MEDIAN_FRAMES >> 1, last = values.length - 1, near = new Float64Array(MEDIAN_FRAMES);
  if (last < around) return values;
  return values.map((_, frame) => {
    for (let at = 0; at < MEDIAN_FRAMES; at++) {
      const place = Math.abs(frame + at - around);
      near[at] = values[place > last ? 2 * last - place : place];
    }
    return near.sort()[around];
  });
}

// The first frame of each row on the cheapest path from the first corner to the last; a step of it goes one frame on,
// one row on, or both.
function warped(rows) {
  const frames = rows[0].length, moves = rows.map(() => new Uint8Array(frames));
  let above = new Float64Array(frames).fill(Infinity);
  for (const [row, cost] of rows.entries()) {
    const best = new Float64Array(frames);
    for (let frame = 0; frame < frames; frame++) {
      const ways = [frame ? best[frame - 1] : Infinity, above[frame], frame ? above[frame - 1] : Infinity];
      const cheapest = Math.min(...ways);
      moves[row][frame] = ways.indexOf(cheapest);
      best[frame] = cost[frame] + (row || frame ? cheapest : 0);
    }
    above = best;
  }
  const starts = rows.map(() => 0);
  for (let row = rows.length - 1, frame = frames - 1; row; ) {
    const move = moves[row][frame];
    if (move) starts[row--] = frame;
    if (move !== 1) frame--;
  }
  return starts;
}
