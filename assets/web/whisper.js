// How a Whisper in its own vocabulary decodes: in which language, and under which guards. As exports/whisper_decoding.py
// and decoding_guards.py, after Radford et al. 2022, section 4.5.

import { decode } from "./search.js";
import { BOS, PAD } from "./vocabulary.js";

const NO_SPEECH_PROBABILITY = 0.6;
const LEAST_LOG_PROB = -1;
const MOST_COMPRESSION = 2.4;
const OTHER_BEAM = 4, OTHER_REPEATS = 2;

// { hypothesis, language: { code, probability } or null, doubt, start }. language: a code, or "" to find it out.
export async function decodeWhisper({ makeDecoder, frames, vocabulary, options, positions, language }) {
  const decoder = makeDecoder();
  const { logProbs: first } = await decoder.step([BOS], decoder.start());
  const noSpeech = Math.exp(first[PAD]); // <|nospeech|> has taken that place
  const codes = vocabulary.languages();
  const spoken = language ? { code: language, probability: null } : codes.length ? detected(first, vocabulary) : null;
  const started = spoken && codes.length ? vocabulary.starting(spoken.code) : vocabulary;
  const searched = async (asked) =>
    judged(await decode({ makeDecoder, ctc: null, frames, vocabulary: started, options: asked, positions }), noSpeech, started);
  let found = await searched(options);
  if (found.doubt === "repeats") {
    const beamSize = options.beamSize > 1 ? 1 : OTHER_BEAM;
    const other = await searched({ ...options, beamSize, maxRepeats: OTHER_REPEATS });
    if (other.doubt !== "repeats") found = other;
  }
  return { ...found, language: spoken, start: started.start };
}

function detected(first, vocabulary) {
  const codes = vocabulary.languages();
  const scores = codes.map((code) => Math.exp(first[vocabulary.control(`<|${code}|>`)]));
  const sum = scores.reduce((a, b) => a + b), best = scores.indexOf(Math.max(...scores));
  return { code: codes[best], probability: scores[best] / sum };
}

async function judged(hypothesis, noSpeech, vocabulary) {
  const logs = hypothesis.confidences.map((confidence) => Math.log(Math.max(confidence, 1e-9)));
  const logProb = logs.reduce((a, b) => a + b, 0) / Math.max(1, logs.length);
  if (noSpeech - logProb > NO_SPEECH_PROBABILITY - LEAST_LOG_PROB) {
    return { hypothesis: { ...hypothesis, tokens: [], confidences: [] }, doubt: "" };
  }
  const repeats = (await compressionRatio(vocabulary.decode(hypothesis.tokens))) > MOST_COMPRESSION;
  return { hypothesis, doubt: repeats ? "repeats" : logProb < LEAST_LOG_PROB ? "unsure" : "" };
}

// Bytes of UTF-8 over those of their zlib form.
async function compressionRatio(text) {
  const data = new TextEncoder().encode(text);
  const stream = new Blob([data]).stream().pipeThrough(new CompressionStream("deflate"));
  return data.length / (await new Response(stream).arrayBuffer()).byteLength;
}
