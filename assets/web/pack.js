// A .lect file, checked before anything in it is used: it may come from a stranger. As exports/pack.py.

import { LanguageModel } from "./language_model.js";
import { readTensors } from "./safetensors.js";
import { Vocabulary } from "./vocabulary.js";
import { readZip } from "./zip.js";

const FORMAT_VERSION = 2;
const MOST_BYTES = 128 << 20;
const NEEDED = [
  "manifest.json", "adapter_config.json", "adapter_model.safetensors", "vocabulary.json", "text_rules.json",
  "eval_results.json", "predictions.tsv", "README.md", "SHA256SUMS",
];
const LANGUAGE_MODEL = "language_model.safetensors";
const OF_VOCABULARY = ["vocabulary.embedding", "vocabulary.ctc.weight", "vocabulary.ctc.bias"];

// { name, language, method, tensors, vocabulary, languageModel }; backbone: { name, sha256, positions }, which it must
// have been made for.
export async function readPack(bytes, backbone) {
  if (bytes.length > MOST_BYTES) throw new Error("It is larger than a lect pack may be: do not use it.");
  const files = await readZip(bytes, MOST_BYTES);
  if (!files.has("manifest.json")) throw new Error("It is a zip file but no lect pack.");
  const manifest = parsed(files, "manifest.json");
  if (!(Number.isInteger(manifest.format_version) && manifest.format_version <= FORMAT_VERSION)) {
    throw new Error("It was made by a newer Lect: export this page again with that one.");
  }
  const missing = NEEDED.filter((name) => !files.has(name));
  if (missing.length) throw new Error(`It lacks ${missing.join(", ")}: copy the pack again.`);
  const unknown = [...files.keys()].filter((name) => ![...NEEDED, LANGUAGE_MODEL].includes(name));
  if (unknown.length) throw new Error("It holds files that no pack has: do not use it.");
  await checkSums(files);
  if (manifest.backbone_sha256 !== backbone.sha256) {
    throw new Error(`It was made for the backbone ${String(manifest.backbone).slice(0, 80)}, and this page has ${backbone.name}.`);
  }
  const vocabulary = Vocabulary.fromJson(parsed(files, "vocabulary.json"));
  if (backbone.positions && vocabulary.start.length >= backbone.positions) {
    throw new Error("It starts with more tokens than its backbone reads: get the pack again.");
  }
  const tensors = readTensors(files.get("adapter_model.safetensors"));
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    if (!data.every(Number.isFinite)) throw new Error("It holds weights that are not numbers: train it again.");
    if (OF_VOCABULARY.includes(name) && shape[0] !== vocabulary.size) {
      throw new Error("It holds matrices for another vocabulary than its own: get the pack again.");
    }
  }
  const stored = files.get(LANGUAGE_MODEL);
  const languageModel = stored ? LanguageModel.fromTensors(readTensors(stored), vocabulary.size) : null;
  const { name, language, method } = manifest;
  return { name: String(name), language: String(language), method: method ?? {}, tensors, vocabulary, languageModel };
}

function parsed(files, name) {
  try {
    const value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(files.get(name)));
    if (value && typeof value === "object" && !Array.isArray(value)) return value;
  } catch {
    // Told below, as what is no object is.
  }
  throw new Error(`It has a ${name} that cannot be read: get the pack again.`);
}

// crypto.subtle is there with https and on this machine only; the page says so where it is not.
async function checkSums(files) {
  if (!globalThis.crypto?.subtle) return;
  const stated = new TextDecoder().decode(files.get("SHA256SUMS")).split("\n");
  for (const [name, data] of files) {
    if (name === "SHA256SUMS") continue;
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
    const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    if (!stated.includes(`${hex}  ${name}`)) throw new Error(`It was changed after it was made (${name}): get it again.`);
  }
}
