// Stretches of speech side by side in one window of a Whisper, which computes thirty seconds whatever it hears. As
// exports/windows.py.

const RATE = 16000;
const UNSPACED = new Set(["bo", "ja", "km", "lo", "my", "th", "yue", "zh"]); // written without spaces between words
const LEAST_LETTERS = 4; // a second, pauses around it included

// Whether what is written of a window can be told apart again, by words.
export function isSpaced(language) {
  return !UNSPACED.has(language);
}

// Neighbours together, up to so many samples of speech; a longer piece stands alone.
export function* joined(pieces, most) {
  let together = [];
  for (const piece of pieces) {
    if (together.length && heardSamples(together) + piece.samples.length > most) {
      yield together;
      together = [];
    }
    together.push(piece);
  }
  if (together.length) yield together;
}

export function heardSamples(pieces) {
  return pieces.reduce((sum, { samples }) => sum + samples.length, 0);
}

export function sideBySide(pieces) {
  const all = new Float32Array(heardSamples(pieces));
  let end = 0;
  for (const { samples } of pieces) {
    all.set(samples, end);
    end += samples.length;
  }
  return all;
}

// What was recognised of pieces side by side, piece by piece, each with times from its own beginning. A word belongs to
// the piece that its middle lies in.
export function parted(whole, pieces) {
  if (pieces.length === 1) return [whole];
  let end = 0;
  return pieces.map(({ samples }, index) => {
    const start = end / RATE;
    end += samples.length;
    return part(whole, start, index === pieces.length - 1 ? Infinity : end / RATE);
  });
}

// Whether a Whisper has passed over a piece, as it does with sentences behind a pause: it is to be heard alone.
export function isMissed({ samples }, { text }) {
  return [...text].length < (LEAST_LETTERS * samples.length) / RATE;
}

function part(whole, start, end) {
  const words = whole.words.filter((word) => start <= (word.start + word.end) / 2 && (word.start + word.end) / 2 < end);
  // A word's confidence is the product of its tokens', of which words have the same number on average.
  const tokens = (words.length * whole.tokens.length) / Math.max(1, whole.words.length);
  const logs = words.reduce((sum, word) => sum + Math.log(Math.max(word.confidence, 1e-9)), 0);
  const within = (seconds) => Math.round((Math.min(Math.max(seconds, start), end) - start) * 1000) / 1000;
  return {
    ...whole,
    tokens: [],
    text: words.map((word) => word.text).join(" "),
    words: words.map((word) => ({ ...word, start: within(word.start), end: within(word.end) })),
    confidence: tokens ? Math.exp(logs / tokens) : 0,
  };
}
