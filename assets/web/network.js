// A backbone's graphs in ONNX Runtime: what an adaptation feeds them, a waveform to encoder output, a decoder step.
// As exports/onnx_network.py and onnx_decoder.py, one clip at a time.

const OWN_INPUTS = ["audio", "lengths", "input_ids", "position_ids", "encoder_attention_mask"];
const EMBEDDING = "vocabulary.embedding", CTC_WEIGHT = "vocabulary.ctc.weight";
const LEAST_SAMPLES = 1600; // a frontend's convolutions need at least one window
const PAST = "past_key_values.", PRESENT = "present.";

export class Network {
  // facts: the page's model.json; load(path) -> Promise of bytes.
  constructor(ort, facts, load) {
    Object.assign(this, { ort, facts, load });
    this.sessions = new Map();
  }

  async session(path) {
    if (!this.sessions.has(path)) {
      const bytes = await this.load(path);
      // Planning which buffers share memory costs more than it wins where the sizes of each step differ.
      const options = { executionProviders: ["wasm"], enableMemPattern: false };
      this.sessions.set(path, await this.ort.InferenceSession.create(bytes, options));
    }
    return this.sessions.get(path);
  }

  // The feeds of an adaptation: tensors by name as a pack has them; a layer without any gets length and rank 0.
  // method: the pack's, which has the weight of CTC in the search: at 0 and 1 the head or the decoder was left as it was.
  async adapt(tensors, method = {}) {
    const isOwn = !(EMBEDDING in tensors) && Boolean(this.facts.files.own_decoder);
    const encoder = await this.session(this.facts.files.encoder);
    const decoder = await this.session(isOwn ? this.facts.files.own_decoder : this.facts.files.decoder);
    const placed = new Set();
    const feeds = (session) => {
      const shapes = session.inputMetadata.filter(({ name }) => !OWN_INPUTS.includes(name) && !name.startsWith(PAST));
      return Object.fromEntries(shapes.map(({ name, shape }) => [name, this.#input(name, shape, tensors, placed)]));
    };
    const adapted = { encoder, decoder, encoderFeeds: feeds(encoder), decoderFeeds: feeds(decoder), past: {} };
    for (const { name, shape } of decoder.inputMetadata) {
      const [, layer, part] = name.match(/^past_key_values\.(\d+)\.decoder\.(key|value)$/) ?? [];
      if (part) adapted.past[name] = this.#prompt(shape, `decoder.${layer}.prompt.${part}`, tensors, placed);
    }
    const stray = Object.keys(tensors).find((name) => !placed.has(name));
    if (stray) throw new Error(`This page's backbone has no place for the pack's tensor ${stray.slice(0, 80)}.`);
    const hasHead = encoder.outputNames.includes("ctc_log_probs") && adapted.encoderFeeds[CTC_WEIGHT]?.dims[0] !== 0;
    adapted.ctcWeight = method.ctc_weight >= 0 && method.ctc_weight <= 1 ? method.ctc_weight : null; // in the search
    adapted.usesCtc = hasHead && adapted.ctcWeight !== 0;
    adapted.hasAlignment = decoder.outputNames.includes("alignment");
    const seconds = method.window_seconds;
    adapted.windowSamples = Math.round(16000 * (seconds >= 0 && seconds <= 60 ? seconds : this.facts.window_seconds));
    return adapted;
  }

  #input(name, shape, tensors, placed) {
    placed.add(name);
    const given = tensors[name] ?? { shape: shape.map((size) => (typeof size === "string" ? 0 : size)), data: [] };
    const fits = given.shape.length === shape.length && shape.every((size, axis) => typeof size === "string" || size === given.shape[axis]);
    if (!fits) throw new Error(`The tensor ${name} does not fit this backbone: the pack was made for another one.`);
    return new this.ort.Tensor("float32", Float32Array.from(given.data), given.shape);
  }

  // A decoder prompt (length, heads, head_dim) as the first rows of the cache (1, heads, length, head_dim).
  #prompt([, heads, , size], name, tensors, placed) {
    placed.add(name);
    const { shape, data } = tensors[name] ?? { shape: [0, heads, size], data: new Float32Array(0) };
    if (shape.length !== 3 || shape[1] !== heads || shape[2] !== size) {
      throw new Error("A decoder prompt does not fit this backbone: the pack was made for another one.");
    }
    const [length] = shape, turned = new Float32Array(data.length);
    for (let row = 0; row < length; row++) {
      for (let head = 0; head < heads; head++) {
        const from = (row * heads + head) * size;
        turned.set(data.subarray(from, from + size), (head * length + row) * size);
      }
    }
    return new this.ort.Tensor("float32", turned, [1, heads, length, size]);
  }

  // (samples,) at 16 kHz -> { mask, frames, ctc: { scores, frames, vocab } or null, cross, samples }.
  async encode(samples, adapted) {
    const length = Math.max(samples.length, adapted.windowSamples);
    const audio = new Float32Array(Math.max(LEAST_SAMPLES, length));
    audio.set(samples);
    const { Tensor } = this.ort;
    const outputs = await adapted.encoder.run({
      audio: new Tensor("float32", audio, [1, audio.length]),
      lengths: new Tensor("int64", BigInt64Array.of(BigInt(length)), [1]),
      ...adapted.encoderFeeds,
    });
    const mask = outputs.encoder_attention_mask;
    const frames = mask.data.reduce((sum, inside) => sum + Number(inside), 0);
    const ctcFrames = Math.floor(frames / this.facts.ctc_stride);
    const found = outputs.ctc_log_probs;
    const ctc = adapted.usesCtc ? { scores: found.data, frames: ctcFrames, vocab: found.dims[2] } : null;
    return { mask, frames, ctcFrames, ctc, cross: asCache(outputs), samples: length };
  }

  decoder(encoded, adapted, onStep = null) {
    return new Decoder(this.ort, encoded, adapted, onStep);
  }
}

// onStep(read, weights): for each row of a step the tokens it has read, and what its alignment heads attend to.
class Decoder {
  constructor(ort, encoded, adapted, onStep) {
    Object.assign(this, { ort, adapted, onStep });
    this.constant = { encoder_attention_mask: encoded.mask, ...encoded.cross, ...adapted.decoderFeeds };
  }

  start() {
    return { position: 0, past: this.adapted.past, read: [[]] };
  }

  async step(tokens, { position, past, read }) {
    const { Tensor } = this.ort, rows = tokens.length;
    const outputs = await this.adapted.decoder.run({
      input_ids: new Tensor("int64", BigInt64Array.from(tokens, BigInt), [rows]),
      position_ids: new Tensor("int64", new BigInt64Array(rows).fill(BigInt(position)), [rows]),
      ...past,
      ...this.constant,
    });
    const grown = read.map((before, row) => [...before, tokens[row]]);
    if (this.onStep && outputs.alignment) this.onStep(grown, outputs.alignment);
    const state = { position: position + 1, past: asCache(outputs), read: grown };
    return { logProbs: logSoftmax(outputs.logits.data, rows), state };
  }

  reorder({ position, past, read }, rows) {
    const picked = Object.entries(past).map(([name, tensor]) => {
      const [, ...shape] = tensor.dims, size = shape.reduce((product, axis) => product * axis, 1);
      const data = new Float32Array(rows.length * size);
      rows.forEach((row, to) => data.set(tensor.data.subarray(row * size, (row + 1) * size), to * size));
      return [name, new this.ort.Tensor("float32", data, [rows.length, ...shape])];
    });
    return { position, past: Object.fromEntries(picked), read: rows.map((row) => read[row]) };
  }
}

// The outputs that the decoder takes at its next step, under its inputs' names.
function asCache(outputs) {
  const cache = Object.entries(outputs).filter(([name]) => name.startsWith(PRESENT));
  return Object.fromEntries(cache.map(([name, tensor]) => [PAST + name.slice(PRESENT.length), tensor]));
}

function logSoftmax(logits, rows) {
  const vocab = logits.length / rows, scores = new Float32Array(logits.length);
  for (let row = 0; row < rows; row++) {
    const from = row * vocab;
    let peak = -Infinity, sum = 0;
    for (let at = from; at < from + vocab; at++) if (logits[at] > peak) peak = logits[at];
    for (let at = from; at < from + vocab; at++) sum += Math.exp(logits[at] - peak);
    const total = peak + Math.log(sum);
    for (let at = from; at < from + vocab; at++) scores[at] = logits[at] - total;
  }
  return scores;
}
