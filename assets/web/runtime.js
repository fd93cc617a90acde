// A network with what is plugged into it: recordings of any length to segments with times. As exports/runtime.py and
// recognition.py, one piece at a time.

import { bestPath } from "./ctc.js";
import { Network } from "./network.js";
import { readPack } from "./pack.js";
import { readTensors } from "./safetensors.js";
import { decode, OPTIONS } from "./search.js";
import { cut } from "./segments.js";
import { speech } from "./vad.js";
import { Vocabulary } from "./vocabulary.js";
import { decodeWhisper } from "./whisper.js";
import { timedWords } from "./words.js";

const RATE = 16000;
const HOP_UNIT_SAMPLES = 80; // 5 ms: every frontend's frames are whole multiples apart
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
    const seconds = () => (waiting.length * Math.max(0, ...waiting.map((piece) => piece.samples.length))) / RATE;
    for await (const found of cut(speech(this.ort, this.vad, samples))) {
      if (found.samples) waiting.push(found);
      if (waiting.length && (!spoken.isOpen || seconds() >= BATCH_SECONDS)) {
        yield* this.#written(waiting, spoken);
        waiting = [];
      }
      onProgress((found.end ?? found.start + found.samples.length) / samples.length);
    }
    yield* this.#written(waiting, spoken);
    onProgress(1);
  }

  async *#written(pieces, spoken) {
    let told = null;
    if (spoken.isOpen && pieces.length) {
      const telling = Math.min(Math.max(...pieces.map((piece) => piece.samples.length)), TELLING_SAMPLES);
      const piece = pieces.find(({ samples }) => samples.length >= telling);
      told = { piece, recognised: await this.recognise(piece.samples, "") };
      if (told.recognised.text) Object.assign(spoken, { code: told.recognised.language.code, isOpen: false });
    }
    for (const piece of pieces) {
      const found = piece === told?.piece ? told.recognised : await this.recognise(piece.samples, spoken.code);
      if (found.isBlank || !found.text) continue;
      const offset = piece.start / RATE, end = offset + piece.samples.length / RATE;
      const words = found.words.map((word) => ({ ...word, start: word.start + offset, end: word.end + offset }));
      yield { ...found, start: offset, end, words };
    }
  }

  // One clip of at most 30 s: { text, tokens, words, confidence, isBlank, language, doubt }.
  async recognise(samples, language = "") {
    const { network, adapted, vocabulary, facts } = this;
    const encoded = await network.encode(samples, adapted);
    const makeDecoder = () => network.decoder(encoded, adapted);
    const shared = { makeDecoder, vocabulary, positions: facts.positions };
    let found;
    if (this.isWhisper) {
      found = await decodeWhisper({ ...shared, frames: encoded.frames, options: this.options, language });
    } else {
      const options = adapted.usesAttention ? this.options : { ...this.options, ctcWeight: 1 };
      const frames = encoded.ctc && options.ctcWeight ? encoded.ctcFrames : encoded.frames;
      found = { hypothesis: await decode({ ...shared, ctc: encoded.ctc, frames, options }), doubt: "" };
    }
    const { tokens, confidences } = found.hypothesis;
    const hop = hopSeconds(Math.max(samples.length, adapted.windowSamples), encoded.ctcFrames);
    const logs = confidences.map((confidence) => Math.log(Math.max(confidence, 1e-9)));
    return {
      tokens,
      text: vocabulary.decode(tokens),
      words: timedWords(vocabulary, found.hypothesis, encoded.ctc, hop, samples.length / RATE),
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
