// Where a recording is cut: stretches of speech, at pauses, none longer than a model can hear; and what lies between.
// As exports/segments.py, with its names and numbers.

export const FRAME_SAMPLES = 512; // 32 ms at 16 kHz, what Silero's network takes at once
const FRAME_S = FRAME_SAMPLES / 16000;
const THRESHOLD = 0.5, HYSTERESIS = 0.15;
const HOLE_FRAMES = 4, CLICK_FRAMES = 3, SMOOTHED_FRAMES = 5;
const PAUSE = 16, PAD = 12; // 500 and 400 ms, as Python rounds them to frames
const LONG_PAUSE = Math.max(PAUSE, 2 * PAD + 1); // longer than what is kept of it
const MOST = Math.floor(20 / FRAME_S);

// Pieces { start, samples } and gaps { start, end } in order, together the whole recording, all in samples.
// windows: { samples, likely } (async), the likelihood of speech of each FRAME_SAMPLES.
export async function* cut(windows) {
  const cutter = new Cutter();
  let gap = null;
  for await (const found of cutter.cut(windows)) {
    if (found.samples) {
      if (gap) yield gap;
      gap = null;
      yield found;
    } else {
      gap = { start: gap ? gap.start : found.start, end: found.end };
    }
  }
  if (gap) yield gap;
}

// The part of the stream that is not decided yet: frame 0 is the first after the last piece or gap.
class Cutter {
  samples = new Float32Array(0);
  raw = []; // per frame whether it is speech, hysteresis applied
  done = 0; // samples that pieces and gaps have taken
  speaking = false; // the last frame's state
  inside = false; // whether a piece begins at frame 0

  async *cut(windows) {
    for await (const { samples, likely } of windows) {
      this.samples = joined(this.samples, samples);
      for (const value of likely) {
        if (value >= THRESHOLD) this.speaking = true;
        else if (value < THRESHOLD - HYSTERESIS) this.speaking = false;
        this.raw.push(this.speaking);
      }
      yield* this.#decided(false);
    }
    yield* this.#decided(true);
  }

  *#decided(isFinal) {
    while (this.raw.length) {
      let spoken = runs(tidied(this.raw));
      // The latest frames may still turn out to be a click, or a hole.
      if (!isFinal) spoken = spoken.filter(([start]) => start < this.raw.length - CLICK_FRAMES);
      const decided = this.inside ? this.#speechEnd(spoken, isFinal) : this.#speechStart(spoken, isFinal);
      if (!decided) return;
      if (decided.frames) yield this.#take(decided.frames);
      this.inside = decided.inside;
    }
  }

  // How many frames to leave out, and whether a piece follows; null: not decided.
  #speechStart(spoken, isFinal) {
    const total = this.raw.length;
    if (!spoken.length) {
      const waiting = isFinal ? 0 : PAD + CLICK_FRAMES;
      // A short silence at the beginning stays with the first speech.
      if (this.done === 0 && !isFinal && total <= 2 * PAD + CLICK_FRAMES) return null;
      return total > waiting ? { frames: total - waiting, inside: false } : null;
    }
    const [[first]] = spoken;
    return { frames: this.done === 0 && first <= 2 * PAD ? 0 : Math.max(0, first - PAD), inside: true };
  }

  // How many frames the piece has; none where only silence is left of it.
  #speechEnd(spoken, isFinal) {
    const total = this.raw.length;
    for (const [index, [, end]] of spoken.entries()) {
      const following = spoken[index + 1];
      if (end > MOST) return { frames: quietest(this.samples, MOST >> 1, MOST), inside: true };
      const pause = (following ? following[0] : total) - end;
      if (following && PAUSE <= pause && pause <= 2 * PAD) {
        return { frames: Math.min(end + (pause >> 1), MOST), inside: true };
      }
      if (pause >= LONG_PAUSE) return { frames: Math.min(end + PAD, MOST), inside: false };
    }
    if (!spoken.length && (isFinal || total >= LONG_PAUSE)) return { frames: 0, inside: false };
    return isFinal ? { frames: Math.min(total, MOST), inside: true } : null;
  }

  #take(frames) {
    const taken = this.samples.slice(0, frames * FRAME_SAMPLES);
    this.samples = this.samples.slice(frames * FRAME_SAMPLES);
    this.raw.splice(0, frames);
    const start = this.done;
    this.done += taken.length;
    return this.inside ? { start, samples: taken } : { start, end: this.done };
  }
}

export function joined(first, second) {
  const both = new Float32Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

// Without holes inside of words and without clicks.
function tidied(speech) {
  const tidy = [...speech];
  for (const [start, end] of runs(speech.map((value) => !value))) {
    if (start > 0 && end < speech.length && end - start <= HOLE_FRAMES) tidy.fill(true, start, end);
  }
  for (const [start, end] of runs(tidy)) {
    if (end - start < CLICK_FRAMES && end < speech.length) tidy.fill(false, start, end);
  }
  return tidy;
}

// Where marks are true: from (inclusive) to (exclusive).
function runs(marks) {
  const found = [];
  marks.forEach((mark, index) => {
    if (mark && !marks[index - 1]) found.push([index, index + 1]);
    else if (mark) found.at(-1)[1] = index + 1;
  });
  return found;
}

// The frame in (first, last] before which a cut hurts least.
function quietest(samples, first, last) {
  const levels = Array.from({ length: last }, (_, frame) => {
    let power = 0;
    for (let at = frame * FRAME_SAMPLES; at < (frame + 1) * FRAME_SAMPLES; at++) power += (samples[at] ?? 0) ** 2;
    return 10 * Math.log10(Math.max(power / FRAME_SAMPLES, 1e-10));
  });
  const reach = SMOOTHED_FRAMES >> 1;
  // Beyond the edges levels count as 0 dB, which is loud.
  const smooth = (frame) => levels.slice(Math.max(0, frame - reach), frame + reach + 1).reduce((a, b) => a + b) / SMOOTHED_FRAMES;
  let best = first + 1;
  for (let frame = first + 2; frame < last; frame++) if (smooth(frame) < smooth(best)) best = frame;
  return best;
}
