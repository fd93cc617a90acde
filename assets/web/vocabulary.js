// Token ids to text, as engine/text/vocabulary.py does it. Texts are not encoded here: nothing in the browser needs it.

export const BOS = 0, PAD = 1, EOS = 2, UNK = 3;
const SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"];
const CONTROL = /^<\|.*\|>$/u;
const LANGUAGE = /^<\|[a-z]{2,3}\|>$/;
const OPENING = /^\[[^\s[\]:]+:$/u;
const CLOSING = "[/]";
const KINDS = ["grapheme", "unigram", "phone", "bytes"];
const MOST_SYMBOLS = 1_000_000, MOST_SYMBOL_LETTERS = 1024, MOST_START = 64;
// What engine/text/writable.py takes out: a pack may come from a stranger.
const UNWRITABLE = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]/gu;
// Where Python's str.split() splits; \s is another set.
const SPACES = /[\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/u;

export class Vocabulary {
  constructor({ kind, symbols, start = [EOS], suppressed = [] }) {
    Object.assign(this, { kind, symbols, start, suppressed });
    this.ids = new Map(symbols.map((symbol, index) => [symbol, index + SPECIALS.length]));
    this.hasMarks = this.ids.has(CLOSING);
    this.codes = symbols.filter((symbol) => LANGUAGE.test(symbol)).map((symbol) => symbol.slice(2, -2)).sort();
  }

  static fromJson(value) {
    const { kind, symbols, start = [EOS], suppressed = [] } = value;
    const isText = (symbol) => typeof symbol === "string" && symbol && symbol.length <= MOST_SYMBOL_LETTERS;
    const size = SPECIALS.length + (symbols?.length ?? 0);
    const areTokens = (ids) => Array.isArray(ids) && ids.every((id) => Number.isInteger(id) && id >= 0 && id < size);
    const isWhole =
      KINDS.includes(kind) && Array.isArray(symbols) && symbols.length <= MOST_SYMBOLS && symbols.every(isText) &&
      areTokens(start) && start.length >= 1 && start.length <= MOST_START && areTokens(suppressed) &&
      !suppressed.includes(EOS) && !symbols.some((symbol) => symbol.search(UNWRITABLE) >= 0);
    if (!isWhole) throw new Error("The vocabulary cannot be read: take it from the pack or backbone again.");
    return new Vocabulary({ kind, symbols, start, suppressed });
  }

  get size() {
    return SPECIALS.length + this.symbols.length;
  }

  // The text of tokens: no specials, single spaces, none at the ends.
  decode(ids) {
    const text = this.pieces(ids, true).join("");
    // Phones stay as their symbols are written, which is decomposed when these are bare marks.
    return (this.kind === "phone" ? text : text.normalize("NFC")).split(SPACES).filter(Boolean).join(" ");
  }

  // The text that each token adds; a character whose bytes are shared among tokens is the last one's.
  pieces(ids, marks = false) {
    const symbols = ids.map((id) => this.symbolOf(id)).map((symbol) => (CONTROL.test(symbol) ? "" : symbol));
    if (this.kind === "bytes") return fromBytes(symbols).map((piece) => piece.replace(UNWRITABLE, " "));
    const shown = this.hasMarks ? symbols.map((symbol) => (isMark(symbol) ? markPiece(symbol, marks) : symbol)) : symbols;
    return this.kind === "unigram" ? shown.map((symbol) => symbol.replaceAll("▁", " ")) : shown;
  }

  // The languages that the decoder may start with; none where it starts with no language.
  languages() {
    return this.start.some((id) => this.codes.includes(this.symbolOf(id).slice(2, -2))) ? this.codes : [];
  }

  control(name) {
    return this.ids.get(name);
  }

  starting(language) {
    const start = [BOS, ...[`<|${language}|>`, "<|transcribe|>", "<|notimestamps|>"].map((name) => this.control(name))];
    return Object.assign(Object.create(Vocabulary.prototype), this, { start });
  }

  symbolOf(id) {
    return this.symbols[id - SPECIALS.length] ?? "";
  }
}

function isMark(symbol) {
  return symbol === CLOSING || OPENING.test(symbol);
}

function markPiece(mark, shown) {
  return shown ? (mark === CLOSING ? "] " : ` ${mark} `) : " ";
}

// A printable letter for each byte, as GPT-2 writes them: Latin-1's own, and from U+0100 for the others.
const BYTES = (() => {
  const bytes = new Map();
  for (let byte = 0, other = 0x100; byte < 256; byte++) {
    const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte < 0xad) || byte > 0xad;
    bytes.set(String.fromCodePoint(printable ? byte : other++), byte);
  }
  return bytes;
})();

function fromBytes(runs) {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const texts = runs.map((run) => {
    const bytes = [...run].filter((letter) => BYTES.has(letter)).map((letter) => BYTES.get(letter));
    return decoder.decode(Uint8Array.from(bytes), { stream: true });
  });
  if (texts.length) texts[texts.length - 1] += decoder.decode();
  return texts;
}
