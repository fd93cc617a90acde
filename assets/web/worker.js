// Everything that takes long, away from the page's own thread. Messages come in with { id, kind, ... } and are answered
// with { id, kind: "done" | "failed", ... }; { kind: "progress" } and { kind: "segment" } come before.

import { fetched } from "./fetching.js";
import { Runtime } from "./runtime.js";

const ENGINE = new URL("onnxruntime/", import.meta.url).href;
const MOST_THREADS = 4; // more win little with networks of this size

let runtime;

const actions = {
  async open({ sizes, threads, pack }, tell) {
    const ort = await import(`${ENGINE}ort.wasm.min.mjs`);
    const load = fetched(sizes, (bytes) => tell({ kind: "progress", bytes }));
    ort.env.wasm.numThreads = threads ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
    ort.env.wasm.wasmPaths = { mjs: `${ENGINE}ort-wasm-simd-threaded.mjs` };
    ort.env.wasm.wasmBinary = (await load("onnxruntime/ort-wasm-simd-threaded.wasm.gz")).buffer;
    ort.env.logLevel = "error";
    runtime = await Runtime.open(ort, load, pack ? await load(pack) : null);
    return { ...described(), threads: ort.env.wasm.numThreads };
  },

  async swap({ bytes }) {
    await (bytes ? runtime.swap(bytes) : runtime.openBare());
    return described();
  },

  async transcribe({ samples, language }, tell) {
    const onProgress = (share) => tell({ kind: "progress", share });
    for await (const segment of runtime.segments(samples, { language, onProgress })) tell({ kind: "segment", segment });
    return {};
  },
};

function described() {
  const { title, language, languages, vocabulary } = runtime;
  return { title, language, languages, phones: vocabulary.kind === "phone" };
}

// One after the other: a network's memory serves one clip at a time.
let before = Promise.resolve();

self.onmessage = ({ data: { id, kind, ...values } }) => {
  const tell = (message) => self.postMessage({ id, ...message });
  before = before
    .then(() => actions[kind](values, tell))
    .then((result) => tell({ kind: "done", ...result }))
    .catch((error) => tell({ kind: "failed", sentence: String(error?.message ?? error) }));
};
