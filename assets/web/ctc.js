// What a CTC head's scores say, as engine/decoding/ctc.py and alignment.py: the best path, the probability of any
// prefix, and where in the sound known tokens lie. Scores are Float32Array of frames x vocab, of one clip.

import { BOS, EOS, PAD, UNK } from "./vocabulary.js";

const LOG_FLOOR = -1000; // "impossible" inside running sums; exp(-1000) is exactly 0

export function logAddExp(a, b) {
  if (a === b) return a + Math.LN2; // both may be minus infinity
  return a > b ? a + Math.log1p(Math.exp(b - a)) : b + Math.log1p(Math.exp(a - b));
}

// The collapsed best path.
export function bestPath(scores, frames, vocab, forbidden = [BOS, UNK, EOS]) {
  const isForbidden = (token) => token !== PAD && forbidden.includes(token);
  const path = [];
  let before = PAD;
  for (let frame = 0; frame < frames; frame++) {
    let best = -1;
    for (let token = 0; token < vocab; token++) {
      if (!isForbidden(token) && (best < 0 || scores[frame * vocab + token] > scores[frame * vocab + best])) best = token;
    }
    if (best !== PAD && best !== before) path.push(best);
    before = best;
  }
  return path;
}

// CTC prefix probabilities (Graves 2008) of growing prefixes, a row each.
export class CtcPrefixes {
  constructor(scores, frames, vocab) {
    Object.assign(this, { frames, vocab });
    this.emissions = Array.from({ length: vocab }, () => new Float64Array(frames));
    this.sums = Array.from({ length: vocab }, () => new Float64Array(frames + 1));
    for (let token = 0; token < vocab; token++) {
      for (let frame = 0; frame < frames; frame++) {
        const score = scores[frame * vocab + token];
        if (Number.isNaN(score)) throw new Error("The model's scores are not numbers, so its weights are damaged.");
        const step = Math.max(score, LOG_FLOOR);
        this.emissions[token][frame] = token === PAD ? 0 : Math.exp(step);
        this.sums[token][frame + 1] = this.sums[token][frame] + step;
      }
    }
    this.rows = [{ last: -1, labelled: new Float64Array(frames + 1).fill(-Infinity), blanked: this.sums[PAD].slice() }];
  }

  // For each row (vocab,): log-probability that speech starts with the prefix and a symbol; at the end symbol, that it
  // is the prefix.
  extensions() {
    return this.rows.map(({ last, labelled, blanked }) => {
      const either = labelled.map((value, frame) => logAddExp(value, blanked[frame]));
      const peak = Math.max(...either, -Number.MAX_VALUE);
      const weights = either.map((value) => Math.exp(value - peak));
      const mass = this.emissions.map((emission) => product(weights, emission));
      // The same symbol again needs a blank between.
      if (last >= 0) mass[last] = product(blanked.map((value) => Math.exp(value - peak)), this.emissions[last]);
      const scores = Float64Array.from(mass, (value) => Math.log(value) + peak);
      scores[EOS] = either[this.frames];
      return scores;
    });
  }

  // Row w becomes what row parents[w] was, grown by tokens[w].
  extend(parents, tokens) {
    this.rows = parents.map((parent, row) => {
      const { last, labelled, blanked } = this.rows[parent];
      const token = tokens[row];
      const before = token === last ? blanked : labelled.map((value, frame) => logAddExp(value, blanked[frame]));
      const grown = running(before, this.sums[token]);
      return { last: token, labelled: grown, blanked: running(grown, this.sums[PAD]) };
    });
  }
}

function product(weights, emission) {
  let sum = 0;
  for (let frame = 0; frame < emission.length; frame++) sum += weights[frame] * emission[frame];
  return sum;
}

// r[t] = (r[t - 1] + before[t - 1]) * p[t], in logarithms, given the running sums of log p.
function running(before, sums) {
  const result = new Float64Array(before.length).fill(-Infinity);
  let held = -Infinity;
  for (let frame = 0; frame + 1 < before.length; frame++) {
    held = logAddExp(held, before[frame] - sums[frame]);
    result[frame + 1] = sums[frame + 1] + held;
  }
  return result;
}

// The frames of each token, [from, to) each, by Viterbi over blank, token, blank, ...; null where they do not fit.
export function ctcAlign(scores, frames, vocab, tokens) {
  const repeats = tokens.filter((token, index) => index && token === tokens[index - 1]).length;
  if (tokens.length + repeats > frames) return null;
  if (!tokens.length) return [];
  const lattice = [PAD, ...tokens.flatMap((token) => [token, PAD])];
  const states = lattice.length;
  const emission = (frame, state) => Math.max(scores[frame * vocab + lattice[state]], LOG_FLOOR);
  let score = new Float64Array(states).fill(-Infinity);
  score[0] = emission(0, 0);
  score[1] = emission(0, 1);
  const back = new Uint8Array(frames * states);
  for (let frame = 1; frame < frames; frame++) {
    const next = new Float64Array(states);
    for (let state = 0; state < states; state++) {
      const maySkip = state >= 2 && lattice[state] !== PAD && lattice[state] !== lattice[state - 2];
      const ways = [score[state], state >= 1 ? score[state - 1] : -Infinity, maySkip ? score[state - 2] : -Infinity];
      const move = ways[1] > ways[0] ? (ways[2] > ways[1] ? 2 : 1) : ways[2] > ways[0] ? 2 : 0;
      back[frame * states + state] = move;
      next[state] = ways[move] + emission(frame, state);
    }
    score = next;
  }
  const spans = tokens.map(() => [0, 0]);
  let state = score[states - 1] >= score[states - 2] ? states - 1 : states - 2;
  for (let frame = frames - 1; frame >= 0; frame--) {
    if (state % 2) {
      const span = spans[(state - 1) / 2];
      if (!span[1]) span[1] = frame + 1;
      span[0] = frame;
    }
    state -= back[frame * states + state];
  }
  return spans;
}
