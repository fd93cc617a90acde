// Joint CTC/attention search over one clip, as engine/decoding/search.py does it: greedy or with a beam, the CTC prefix
// score over the whole vocabulary, shallow fusion, a guard against loops.
//
// A decoder has start() -> state, async step(tokens, state) -> { logProbs: Float32Array(rows x vocab), state }, and
// reorder(state, rows) -> state.

import { bestPath, CtcPrefixes } from "./ctc.js";
import { BOS, EOS, PAD, UNK } from "./vocabulary.js";

const MAX_LOOP_TOKENS = 32; // the longest loop that the repetition guard can see

export const OPTIONS = {
  beamSize: 4,
  ctcWeight: 0.6,
  maxTokensPerFrame: 1,
  maxTokens: Infinity,
  maxRepeats: 8, // a piece repeated more often than this in a row ends the hypothesis; 0: no guard
  lengthPenalty: null, // null: 0 with CTC, 1 for the attention alone
  languageModel: null,
};

// In a vocabulary: from its own start on, and never what it suppresses. positions: as many tokens as the decoder
// reads, its start included; 0: no limit. ctc: { scores, frames, vocab } or null.
export async function decode({ makeDecoder, ctc, frames, vocabulary, options, positions = 0 }) {
  const room = positions ? positions - vocabulary.start.length : Infinity;
  const isCtcAlone = ctc !== null && options.ctcWeight === 1;
  return search({
    decoder: isCtcAlone ? null : makeDecoder(),
    ctc,
    frames,
    options: { ...options, maxTokens: Math.min(options.maxTokens, room) },
    start: vocabulary.start,
    forbidden: [BOS, PAD, UNK, ...vocabulary.suppressed],
  });
}

// The best hypothesis: { tokens, score, confidences }. A token's confidence is its joint posterior given what precedes.
export async function search({ decoder, ctc, frames, options, start = [EOS], forbidden = [BOS, PAD, UNK] }) {
  const weight = !decoder ? 1 : !ctc ? 0 : options.ctcWeight;
  const prefixes = ctc && weight > 0 ? new CtcPrefixes(ctc.scores, ctc.frames, ctc.vocab) : null;
  if (prefixes && weight === 1 && options.beamSize === 1 && !options.languageModel) {
    return scored(prefixes, bestPath(ctc.scores, ctc.frames, ctc.vocab, [...forbidden, EOS]));
  }
  const beam = new Beam(prefixes, frames, options, weight, forbidden);
  if (decoder && weight < 1) await attend(beam, decoder, start);
  while (beam.alive) beam.extend(null);
  return beam.best;
}

async function attend(beam, decoder, start) {
  let state = decoder.start();
  for (const token of start.slice(0, -1)) ({ state } = await decoder.step([token], state));
  let tokens = [start.at(-1)];
  while (beam.alive) {
    const { logProbs, state: stepped } = await decoder.step(tokens, state);
    const before = tokens.length;
    const extended = beam.extend(logProbs);
    tokens = extended.tokens;
    const isMoved = extended.parents.length !== before || extended.parents.some((parent, row) => parent !== row);
    state = beam.alive && isMoved ? decoder.reorder(stepped, extended.parents) : stepped;
  }
}

class Beam {
  constructor(prefixes, frames, options, weight, forbidden) {
    Object.assign(this, { prefixes, options, weight });
    this.barred = [...new Set([...forbidden, PAD, EOS])];
    this.cap = Math.min(Math.ceil(frames * options.maxTokensPerFrame), options.maxTokens);
    this.penalty = options.lengthPenalty ?? (weight === 0 ? 1 : 0);
    // Where there are no frames there is no speech, whatever a model makes of it.
    this.best = { tokens: [], score: frames ? -Infinity : 0, confidences: [] };
    this.alive = true;
    this.length = 0;
    const place = options.languageModel ? options.languageModel.start() : 0;
    const runs = new Int32Array(MAX_LOOP_TOKENS);
    // A row that only fills the width has a past of minus infinity.
    this.rows = [{ tokens: [], confidences: [], past: 0, reached: 0, boost: 0, place, runs, loop: 0 }];
  }

  // One token more: the parent row and the token of each new row.
  extend(logProbs) {
    const steps = this.#steps(logProbs);
    const boosts = this.rows.map((row) => this.options.languageModel?.gains(row.place));
    const joint = steps.map((step, index) => {
      const { past, boost } = this.rows[index], gains = boosts[index];
      return step.joint.map((value, token) => past + value + (gains ? boost + gains[token] : 0));
    });
    const ends = this.rows.map((row, index) => (row.loop > 0 ? row.reached : joint[index][EOS]));
    for (const [index, row] of this.rows.entries()) {
      if (row.loop > 0 || this.cap <= this.length) joint[index].fill(-Infinity);
      for (const token of this.barred) joint[index][token] = -Infinity;
    }
    const best = top(joint, this.options.beamSize);
    this.#finish(ends, best);
    this.alive = this.#isWinnable(best[0].score);
    if (!this.alive) return { parents: [], tokens: [] };
    this.rows = best.map(({ score, row, token }) => this.#grown(this.rows[row], steps[row], boosts[row], score, token));
    this.length += 1;
    const parents = best.map(({ row }) => row), tokens = best.map(({ token }) => token);
    this.prefixes?.extend(parents, tokens);
    return { parents, tokens };
  }

  // For each row, (vocab,) both: the attention's weighted share, and the posterior with CTC's, but for its sum.
  #steps(logProbs) {
    const ctc = this.prefixes?.extensions();
    const vocab = logProbs ? logProbs.length / this.rows.length : ctc[0].length;
    return this.rows.map((_, index) => {
      const attention = new Float64Array(vocab), joint = new Float64Array(vocab);
      for (let token = 0; token < vocab; token++) {
        const own = logProbs ? logProbs[index * vocab + token] : 0;
        if (Number.isNaN(own)) throw new Error("The model's scores are not numbers, so its weights are damaged.");
        attention[token] = ctc ? (1 - this.weight) * own : own;
        joint[token] = ctc ? attention[token] + this.weight * ctc[index][token] : own;
      }
      return { attention, joint };
    });
  }

  // A hypothesis ends when its end is among the best `beamSize` continuations.
  #finish(ends, best) {
    const divisor = ((5 + this.length) / 6) ** this.penalty;
    for (const [index, end] of ends.entries()) {
      const better = best.filter(({ score }) => score > end).length + ends.filter((other) => other > end).length;
      if (better >= this.options.beamSize || end === -Infinity || end / divisor <= this.best.score) continue;
      const { tokens, confidences, loop } = this.rows[index], kept = this.length - loop;
      this.best = { tokens: tokens.slice(0, kept), score: end / divisor, confidences: confidences.slice(0, kept) };
    }
  }

  // Joint scores only fall as a hypothesis grows, so a live one worse than a finished one cannot win.
  #isWinnable(score) {
    const divisor = ((6 + this.length) / 6) ** this.penalty;
    const mayWin = score / divisor > this.best.score;
    return this.options.beamSize > 1 ? mayWin : mayWin && this.best.score === -Infinity;
  }

  #grown(parent, step, gains, score, token) {
    const limit = this.options.maxRepeats;
    const runs = parent.runs.map((run, lag) => (parent.tokens.at(-1 - lag) === token ? run + 1 : 0));
    const lag = limit > 0 ? runs.findIndex((run, index) => run >= (index + 1) * limit) : -1;
    const confidence = this.prefixes ? posterior(step.joint, token) : Math.exp(step.joint[token]);
    return {
      tokens: [...parent.tokens, token],
      confidences: [...parent.confidences, confidence],
      past: score > -Infinity ? parent.past + step.attention[token] : -Infinity,
      reached: score,
      boost: gains ? parent.boost + gains[token] : 0,
      place: gains ? this.options.languageModel.after(parent.place, token) : 0,
      runs,
      loop: lag < 0 ? 0 : (lag + 1) * limit,
    };
  }
}

// Exact score and posteriors of a given sequence: the same meaning as in a beam search.
function scored(prefixes, tokens) {
  const confidences = [];
  let score = 0;
  for (const [position, token] of [...tokens, EOS].entries()) {
    const [steps] = prefixes.extensions();
    score = steps[token];
    if (position < tokens.length) confidences.push(posterior(steps, token));
    prefixes.extend([0], [token]);
  }
  return { tokens, score, confidences };
}

function posterior(steps, token) {
  let peak = -Number.MAX_VALUE, sum = 0;
  for (const value of steps) if (value > peak) peak = value;
  for (const value of steps) sum += Math.exp(value - peak);
  return Math.exp(steps[token] - peak) / sum;
}

// The best `count` of all rows, falling; of equal ones the first. Where too few are possible, the first token fills up.
function top(joint, count) {
  const best = [];
  for (const [row, scores] of joint.entries()) {
    for (let token = 0; token < scores.length; token++) {
      const score = scores[token];
      if (score === -Infinity || (best.length === count && score <= best[count - 1].score)) continue;
      let place = best.length;
      while (place > 0 && best[place - 1].score < score) place--;
      best.splice(place, 0, { score, row, token });
      if (best.length > count) best.pop();
    }
  }
  const width = Math.min(count, joint.length * joint[0].length);
  while (best.length < width) best.push({ score: -Infinity, row: 0, token: 0 });
  return best;
}
