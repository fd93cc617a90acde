// Runs the page's modules for tests/exports/test_web_port.py: a list of cases on stdin, a list of results on stdout.

import { readFileSync } from "node:fs";
import { Attended, withoutSilence } from "../../assets/web/attended.js";
import { bestPath, ctcAlign } from "../../assets/web/ctc.js";
import { LanguageModel } from "../../assets/web/language_model.js";
import { readPack } from "../../assets/web/pack.js";
import { readTensors } from "../../assets/web/safetensors.js";
import { OPTIONS, search } from "../../assets/web/search.js";
import { cut } from "../../assets/web/segments.js";
import { Vocabulary } from "../../assets/web/vocabulary.js";
import { isMissed, joined, parted } from "../../assets/web/windows.js";
import { timedWords } from "../../assets/web/words.js";
import { WRITERS } from "../../assets/web/writers.js";

const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const floats = (text) => new Float32Array(bytes(text).buffer);
const posteriors = ({ scores, frames, vocab }) => ({ scores: floats(scores), frames, vocab });

// Each next token depends on the last one and on the position: (positions, vocab, vocab).
function tableDecoder({ table, positions, vocab }) {
  const scores = floats(table);
  return {
    start: () => 0,
    reorder: (state) => state,
    async step(tokens, position) {
      const rows = tokens.map((token) => {
        const from = ((position % positions) * vocab + token) * vocab;
        return scores.subarray(from, from + vocab);
      });
      return { logProbs: Float32Array.from(rows.flatMap((row) => [...row])), state: position + 1 };
    },
  };
}

async function* windows(samples, likely, block) {
  for (let start = 0; start < samples.length; start += block) {
    yield { samples: samples.slice(start, start + block), likely: likely.slice(start / 512, Math.ceil((start + block) / 512)) };
  }
}

const kinds = {
  async search({ decoder, ctc, frames, options, start, languageModel }) {
    const model = languageModel ? LanguageModel.fromTensors(readTensors(bytes(languageModel)), decoder.vocab) : null;
    return search({
      decoder: decoder.table ? tableDecoder(decoder) : null,
      ctc: ctc ? posteriors(ctc) : null,
      frames,
      start,
      options: { ...OPTIONS, ...options, languageModel: model },
    });
  },
  align: ({ ctc, tokens }) => ctcAlign(floats(ctc.scores), ctc.frames, ctc.vocab, tokens),
  best: ({ ctc }) => bestPath(floats(ctc.scores), ctc.frames, ctc.vocab),
  decode: ({ vocabulary, tokens }) => Vocabulary.fromJson(vocabulary).decode(tokens),
  words: ({ vocabulary, hypothesis, ctc, hop, seconds }) =>
    timedWords(Vocabulary.fromJson(vocabulary), hypothesis, ctc && posteriors(ctc), hop, seconds),
  attended({ vocabulary, hypothesis, weights, heads, width, frames, hop, samples }) {
    const attended = new Attended(frames), read = [], start = [1, 2], given = floats(weights);
    for (const [step, token] of [2, ...hypothesis.tokens].entries()) {
      read.push([...(read.at(-1) ?? [1]), token]);
      const data = given.subarray(step * heads * width, (step + 1) * heads * width);
      attended.note([read.at(-1)], { data, dims: [1, heads, width] });
    }
    const noted = attended.of(start, hypothesis.tokens), waveform = floats(samples);
    const words = timedWords(Vocabulary.fromJson(vocabulary), hypothesis, null, hop, waveform.length / 16000, noted);
    return withoutSilence(words, waveform);
  },
  windows({ lengths, most, whole }) {
    const pieces = lengths.map((length) => ({ samples: new Float32Array(length) }));
    return [...joined(pieces, most)].map((together) =>
      parted(whole, together).map((part, index) => ({ ...part, isMissed: isMissed(together[index], part) })),
    );
  },
  async cut({ samples, likely, block }) {
    const found = [];
    for await (const each of cut(windows(floats(samples), floats(likely), block))) {
      found.push([each.start, each.end ?? each.start + each.samples.length, Boolean(each.samples)]);
    }
    return found;
  },
  written: ({ format, transcript, media }) => WRITERS[format](transcript, media),
  async pack({ data, backbone }) {
    try {
      const { name, tensors, vocabulary, languageModel } = await readPack(bytes(data), backbone);
      const sums = Object.fromEntries(Object.entries(tensors).map(([key, { data: values }]) => [key, values.reduce((a, b) => a + b, 0)]));
      return { name, sums, symbols: vocabulary.size, ngrams: languageModel?.counts.length ?? 0 };
    } catch (error) {
      return { error: error.message };
    }
  },
};

const results = [];
for (const { kind, ...values } of JSON.parse(readFileSync(0, "utf8"))) results.push(await kinds[kind](values));
process.stdout.write(JSON.stringify(results));
