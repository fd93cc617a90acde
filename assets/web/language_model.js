// n-grams with interpolated Witten-Bell smoothing for shallow fusion, as engine/decoding/language_model.py.

import { EOS } from "./vocabulary.js";

const MOST_NGRAMS = 200_000;
const REMEMBERED_VALUES = 8_000_000; // of answers that are kept, since a search comes back to few

export class LanguageModel {
  // ngrams: rows of `order` tokens, the context's last token first and the foretold one last, in lexicographic order.
  constructor(ngrams, counts, order, size, weight) {
    Object.assign(this, { ngrams, counts, order, size, weight });
    this.contexts = [];
    this.places = new Map();
    this.seen = new Map();
  }

  static fromTensors({ ngrams, counts, weight }, size) {
    const [rows, order] = ngrams?.shape ?? [];
    const fits =
      ngrams?.shape.length === 2 && order >= 1 && order <= 12 && rows <= MOST_NGRAMS && counts?.shape.length === 1 &&
      counts.shape[0] === rows && ngrams.data.every((token) => token < size) && counts.data.every((count) => count > 0) &&
      weight?.data.length === 1 && weight.data[0] >= 0 && weight.data[0] <= 1;
    if (!fits) throw new Error("Its language model was made for another vocabulary, or was damaged: get it again.");
    return new LanguageModel(ngrams.data, counts.data, order, size, weight.data[0]);
  }

  // Where a hypothesis stands before its first token.
  start() {
    return this.#place(Array(this.order - 1).fill(EOS));
  }

  // (vocab,): what each next token, the end among them, adds: never more than 0.
  gains(place) {
    const seen = this.#look(this.contexts[place]);
    seen.gains ??= seen.probabilities.map((probability) => this.weight * Math.log(probability));
    return seen.gains;
  }

  after(place, token) {
    return this.#place([...this.contexts[place], token]);
  }

  // The number of the longest part of a context that was ever seen: what differs before it cannot matter.
  #place(context) {
    let kept = this.order > 1 ? context.slice(1 - this.order) : [];
    while (kept.length) {
      const { start, stop } = this.#look(kept);
      if (start < stop) break;
      kept = kept.slice(1);
    }
    const key = kept.join(" ");
    if (!this.places.has(key)) this.places.set(key, this.contexts.push(kept) - 1);
    return this.places.get(key);
  }

  #look(context) {
    const key = context.join(" ");
    let found = this.seen.get(key);
    if (!found) {
      found = this.#found(context);
      if (this.seen.size * this.size > REMEMBERED_VALUES) this.seen.clear();
      this.seen.set(key, found);
    }
    return found;
  }

  // Each order's counts, with as many more for the next lower order as there are kinds of continuations.
  #found(context) {
    let lower = new Float64Array(this.size).fill(1 / this.size), start = 0, stop = this.counts.length;
    if (context.length) {
      ({ probabilities: lower, start, stop } = this.#look(context.slice(1)));
      const column = context.length - 1;
      [start, stop] = [this.#first(column, context[0], start, stop), this.#first(column, context[0] + 1, start, stop)];
    }
    if (start === stop) return { probabilities: lower, start, stop };
    const counts = new Float64Array(this.size);
    let total = 0;
    for (let row = start; row < stop; row++) {
      counts[this.ngrams[(row + 1) * this.order - 1]] += this.counts[row];
      total += this.counts[row];
    }
    const kinds = counts.reduce((sum, count) => sum + (count > 0), 0);
    const probabilities = counts.map((count, token) => (count + kinds * lower[token]) / (total + kinds));
    return { probabilities, start, stop };
  }

  // The first row in [start, stop) whose token in a column is not below this one.
  #first(column, token, start, stop) {
    while (start < stop) {
      const middle = (start + stop) >> 1;
      if (this.ngrams[middle * this.order + column] < token) start = middle + 1;
      else stop = middle;
    }
    return start;
  }
}
