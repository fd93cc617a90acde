// A network with what is plugged into it: recordings of any length to segments with times. As exports/runtime.py and
// recognition.py, one window at a time.

import { Attended, withoutSilence } from "./attended.js";
import { bestPath } from "./ctc.js";
import { Network } from "./network.js";
import { readPack } from "./pack.js";
import { readTensors } from "./safetensors.js";
import { decode, OPTIONS } from "./search.js";
import { cut } from "./segments.js";
import { speech } from "./vad.js";
import { Vocabulary } from "./vocabulary.js";
import { decodeWhisper } from "./whisper.js";
import { heardSamples, isMissed, isSpaced, joined, parted, sideBySide } from "./windows.js";
import { timedWords } from "./words.js";

const RATE = 16000;
const HOP_UNIT_SAMPLES = 80; // 5 ms: every frontend's frames are whole multiples apart
const MAX_SECONDS = 30; // the longest stretch that a backbone takes at once
const WINDOWS = 2; // written at once: only the last of them is likely to have much room left
const BATCH_SECONDS = 60; // of pieces among which the Python runtime looks for the one that tells the language
const TELLING_SAMPLES = 5 * RATE; // so much speech tells its language; a shorter piece may be a mere yes

export class Runtime {
  // load(path) -> Promise of the bytes of one of the page's files.
  static async open(ort, load, pack = null) {
    const facts = JSON.parse(new TextDecoder().decode(await load("model/model.json")));
    const runtime = new Runtime();
    Object.assign(runtime, { ort, load, facts, network: new Network(ort, facts, load), language: "", title: facts.name });
    runtime.vad = await runtime.network.session(facts.files.vad);
    await (pack ? runtime.swap(pack) : runtime.openBare());
    return runtime;
  }

  // Puts a pack in place, or another one; the graphs stay loaded.
  async swap(bytes) {
    const pack = await readPack(bytes, this.facts);
    const adapted = await this.network.adapt({ ...(await this.#ownVocabulary()), ...pack.tensors }, pack.method);
    const vocabulary = pack.vocabulary, needed = ["vocabulary.embedding", ...(this.facts.ctc ? ["vocabulary.ctc.weight"] : [])];
    const isOwn = JSON.stringify(vocabulary.symbols) === JSON.stringify(this.facts.vocabulary.symbols);
    if (!isOwn && needed.some((name) => !(name in pack.tensors))) {
      throw new Error("It lacks a matrix of its vocabulary: export the pack again.");
    }
    const options = { ...OPTIONS, languageModel: pack.languageModel };
    Object.assign(this, { adapted, vocabulary, options, isWhisper: false, language: pack.language, title: pack.name });
  }

  // The backbone itself, in its own vocabulary.
  async openBare() {
    const adapted = await this.network.adapt(await this.#ownVocabulary());
    const vocabulary = Vocabulary.fromJson(this.facts.vocabulary);
    const isWhisper = vocabulary.kind === "bytes" && !this.facts.ctc;
    Object.assign(this, { adapted, vocabulary, options: OPTIONS, isWhisper, language: "", title: this.facts.name });
  }

  // The languages that it finds out, or may be told; none where a pack says what is spoken.
  get languages() {
    return this.isWhisper ? this.vocabulary.languages() : [];
  }

  // What is spoken in (samples,) at 16 kHz, segment after segment; onProgress(share) as it goes. language: a code, or
  // "" where the first speech with words settles it.
  async *segments(samples, { language = "", onProgress = () => {} } = {}) {
    const spoken = { code: language, isOpen: !language && this.languages.length > 0 };
    let waiting = [];
    for await (const found of cut(speech(this.ort, this.vad, samples))) {
      if (found.samples) waiting.push(found);
      if (waiting.length && this.#isEnough(waiting, spoken)) {
        yield* this.#written(waiting, spoken);
        waiting = [];
      }
      onProgress((found.end ?? found.start + found.samples.length) / samples.length);
    }
    yield* this.#written(waiting, spoken);
    onProgress(1);
  }

  #isEnough(waiting, spoken) {
    const window = this.#window(spoken);
    if (window) return heardSamples(waiting) >= WINDOWS * window;
    const longest = Math.max(...waiting.map(({ samples }) => samples.length));
    return !spoken.isOpen || waiting.length * longest >= BATCH_SECONDS * RATE;
  }

  // How many samples are heard together: 0, where pieces cannot be told apart again by the times of words.
  #window({ code, isOpen }) {
    const isApart = this.isWhisper && this.adapted.hasAlignment && !isOpen && isSpaced(code);
    return isApart ? Math.min(this.adapted.windowSamples, MAX_SECONDS * RATE) : 0;
  }

  async *#written(pieces, spoken) {
    const window = this.#window(spoken);
    for await (const [piece, found] of window ? this.#together(pieces, window, spoken) : this.#alone(pieces, spoken)) {
      if (found.isBlank || !found.text) continue;
      const offset = piece.start / RATE, end = offset + piece.samples.length / RATE;
      const words = found.words.map((word) => ({ ...word, start: word.start + offset, end: word.end + offset }));
      yield { ...found, start: offset, end, words };
    }
  }

  // Each piece with what was recognised of it; neighbours are heard in one window.
  async *#together(pieces, window, { code }) {
    for (const together of joined(pieces, window)) {
      const parts = parted(await this.recognise(sideBySide(together), code), together);
      for (const [index, piece] of together.entries()) {
        const isHeard = together.length === 1 || !isMissed(piece, parts[index]);
        yield [piece, isHeard ? parts[index] : await this.recognise(piece.samples, code)];
      }
    }
  }

  // The same, each heard by itself; while the language is open, one with words settles it before the others.
  async *#alone(pieces, spoken) {
    let told = null;
    if (spoken.isOpen && pieces.length) {
      const telling = Math.min(Math.max(...pieces.map((piece) => piece.samples.length)), TELLING_SAMPLES);
      const piece = pieces.find(({ samples }) => samples.length >= telling);
      told = { piece, recognised: await this.recognise(piece.samples, "") };
      if (told.recognised.text) Object.assign(spoken, { code: told.recognised.language.code, isOpen: false });
    }
    for (const piece of pieces) {
      yield [piece, piece === told?.piece ? told.recognised : await this.recognise(piece.samples, spoken.code)];
    }
  }

  // One clip of at most 30 s: { text, tokens, words, confidence, isBlank, language, doubt }.
  async recognise(samples, language = "") {
    const { network, adapted, vocabulary, facts } = this;
    const encoded = await network.encode(samples, adapted);
    const seconds = samples.length / RATE, padded = Math.max(samples.length, adapted.windowSamples);
    const attendedHop = hopSeconds(padded, encoded.frames);
    const attended = encoded.ctc ? null : new Attended(Math.ceil(seconds / attendedHop));
    const makeDecoder = () => network.decoder(encoded, adapted, attended && ((...step) => attended.note(...step)));
    const shared = { makeDecoder, vocabulary, positions: facts.positions };
    let found;
    if (this.isWhisper) {
      found = await decodeWhisper({ ...shared, frames: encoded.frames, options: this.options, language });
    } else {
      const options = { ...this.options, ctcWeight: adapted.ctcWeight ?? this.options.ctcWeight };
      const frames = encoded.ctc && options.ctcWeight ? encoded.ctcFrames : encoded.frames;
      found = { hypothesis: await decode({ ...shared, ctc: encoded.ctc, frames, options }), doubt: "", start: vocabulary.start };
    }
    const { tokens, confidences } = found.hypothesis;
    const heads = attended?.of(found.start, tokens) ?? null;
    const hop = heads ? attendedHop : hopSeconds(padded, encoded.ctcFrames);
    const words = timedWords(vocabulary, found.hypothesis, encoded.ctc, hop, seconds, heads);
    const logs = confidences.map((confidence) => Math.log(Math.max(confidence, 1e-9)));
    return {
      tokens,
      text: vocabulary.decode(tokens),
      words: heads ? withoutSilence(words, samples) : words,
      confidence: logs.length ? Math.exp(logs.reduce((a, b) => a + b) / logs.length) : 0,
      isBlank: encoded.ctc !== null && !bestPath(encoded.ctc.scores, encoded.ctc.frames, encoded.ctc.vocab).length,
      language: found.language ?? (this.language ? { code: this.language, probability: null } : null),
      doubt: found.doubt,
    };
  }

  // What a network without an own decoder is fed, where nothing else is.
  async #ownVocabulary() {
    const path = this.facts.files.own_vocabulary;
    return path ? readTensors(await this.load(path)) : {};
  }
}

// How far apart the CTC head's frames are.
function hopSeconds(samples, frames) {
  const units = Math.max(1, Math.round(samples / Math.max(1, frames) / HOP_UNIT_SAMPLES));
  return (units * HOP_UNIT_SAMPLES) / RATE;
}
