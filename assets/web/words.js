// The words of a hypothesis with their times in seconds, as engine/decoding/words.py and exports/recognition.py.

import { ATTENTION_REACH_S, tokenSpans } from "./attended.js";
import { ctcAlign } from "./ctc.js";

const REACH_S = 0.03; // CTC writes a token where it is surest: a word reaches a little beyond its first and last

// [{ text, start, end, confidence }]; ctc: as the search has it, or null; attended: in its place, as `tokenSpans` takes
// it, or null; hop: seconds between the frames of either.
export function timedWords(vocabulary, { tokens, confidences }, ctc, hop, seconds, attended = null) {
  const pieces = vocabulary.pieces(tokens), aligned = ctc && ctcAlign(ctc.scores, ctc.frames, ctc.vocab, tokens);
  let spans = aligned ? aligned.map(([start, end]) => [start * hop, end * hop]) : spread(pieces, seconds);
  if (attended) spans = tokenSpans(attended, pieces, hop);
  return placed(words(vocabulary, tokens, confidences), spans, seconds, attended ? ATTENTION_REACH_S : REACH_S);
}

// Words between the times of their tokens, none over another; reach: how far a word goes beyond its tokens.
function placed(found, spans, seconds, reach) {
  const inner = found.map((word) => [
    Math.min(spans[word.first][0], seconds),
    Math.min(spans[word.end - 1][1], seconds),
  ]);
  const limits = [0, ...inner.slice(1).map(([start], index) => (inner[index][1] + start) / 2), seconds];
  return found.map(({ text, confidence }, index) => ({
    text,
    start: rounded(Math.max(limits[index], inner[index][0] - reach)),
    end: rounded(Math.min(limits[index + 1], inner[index][1] + reach)),
    confidence,
  }));
}

// Each word and its tokens, [first, end).
export function words(vocabulary, tokens, confidences) {
  const found = [];
  let word = { text: "", confidence: 1, first: 0, end: 0 };
  for (const [index, piece] of vocabulary.pieces(tokens).entries()) {
    for (const [part, letters] of piece.split(" ").entries()) {
      if (part || word.first === word.end) {
        found.push(word);
        word = { text: "", confidence: 1, first: index, end: index };
      }
      // A token may be a part of a letter's bytes.
      if (letters || !piece) {
        word = { ...word, text: word.text + letters, confidence: word.confidence * confidences[index], end: index + 1 };
      }
    }
  }
  const composed = (text) => (vocabulary.kind === "phone" ? text : text.normalize("NFC"));
  return [...found, word].filter(({ text }) => text).map((each) => ({ ...each, text: composed(each.text) }));
}

// Each token as long as it has letters.
function spread(pieces, seconds) {
  const letters = pieces.map((piece) => Math.max(1, [...piece].length));
  const all = letters.reduce((a, b) => a + b, 0);
  let done = 0;
  return letters.map((count) => [(done / all) * seconds, ((done += count) / all) * seconds]);
}

function rounded(seconds) {
  return Math.round(seconds * 1000) / 1000;
}
