// The page: files and the microphone in, text with times out. All work is done by worker.js.

import { Microphone } from "./microphone.js";
import { Result } from "./result.js";
import { fromFile, RATE } from "./sound.js";
import { say } from "./texts.js";
import { writeWav } from "./wav.js";
import { Work } from "./work.js";

const find = (id) => document.getElementById(id);
const CONTROL_MS = 8000; // a browser without room for a service worker must not wait for it
let work = null; // begun under the service worker, so that its files are kept too
let microphone = null;

async function start() {
  for (const [id, key] of Object.entries({ "drop-text": "drop", choose: "choose", record: "record", "language-label": "language", private: "private" })) {
    find(id).textContent = say(key);
  }
  if (!isSecureContext) warn(say("insecure"));
  if (await becomesControlled()) return; // the page is being loaded again
  work = new Work();
  const sizes = Object.fromEntries(Object.entries(LECT.files).map(([path, { bytes }]) => [path, bytes]));
  let done = 0;
  const onProgress = ({ bytes }) => {
    done += bytes;
    const megabytes = (count) => (count / 1e6).toFixed(0);
    find("loading-bar").value = done / LECT.firstLoad;
    find("loading-text").textContent = done < LECT.firstLoad ? say("loading", { done: megabytes(done), all: megabytes(LECT.firstLoad) }) : say("starting");
  };
  try {
    const opened = await work.ask("open", { sizes, threads: crossOriginIsolated, pack: LECT.pack }, onProgress);
    show(opened);
    find("threads").textContent = opened.threads > 1 ? say("threads", opened) : say("one_thread");
    find("loading").hidden = true;
    find("input").hidden = false;
  } catch (error) {
    find("loading").hidden = true;
    warn(say("broken", { sentence: error.message }));
  }
}

// Waits until the service worker answers for this page. True where that takes loading it once more, for its headers.
async function becomesControlled() {
  if (!navigator.serviceWorker) return false;
  try {
    await navigator.serviceWorker.register("service-worker.js");
    if (!navigator.serviceWorker.controller) {
      await new Promise((resolve, reject) => {
        navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true });
        setTimeout(reject, CONTROL_MS);
      });
    }
  } catch {
    return false; // private windows of some browsers have none: the page works, with one thread
  }
  if (crossOriginIsolated || sessionStorage.getItem("reloaded")) return false;
  sessionStorage.setItem("reloaded", "1");
  location.reload();
  return true;
}

// What it writes with now.
function show({ title, languages, phones, isPack = Boolean(LECT.pack) }) {
  find("title").textContent = isPack ? title : "Lect";
  find("about").textContent = say(phones ? "phones" : isPack ? "pack" : "bare", { title });
  document.title = isPack ? `${title} · Lect` : "Lect";
  find("language-row").hidden = !languages.length;
  const names = new Intl.DisplayNames(document.documentElement.lang, { type: "language" });
  const options = languages.map((code) => new Option(names.of(code), code)).sort((a, b) => a.text.localeCompare(b.text));
  find("language").replaceChildren(new Option(say("detect"), ""), ...options);
}

function warn(sentence) {
  const notice = find("notice");
  notice.textContent = sentence;
  notice.hidden = !sentence;
}

async function take(files) {
  warn("");
  for (const file of files) {
    if (file.name.endsWith(".lect")) await takePack(file);
    else await transcribe(file, () => fromFile(file));
  }
}

async function takePack(file) {
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    show({ ...(await work.ask("swap", { bytes })), isPack: true });
  } catch (error) {
    warn(say("pack_failed", { file: file.name, sentence: error.message }));
  }
}

async function transcribe(file, decoded) {
  const result = new Result(file);
  find("results").prepend(result.element);
  try {
    const samples = await decoded();
    result.begin(samples.length);
    const onMessage = (message) => (message.segment ? result.add(message.segment) : result.progress(message.share));
    await work.ask("transcribe", { samples, language: find("language").value }, onMessage, [samples.buffer]);
    result.end();
  } catch (error) {
    result.fail(error.message);
  }
}

async function record() {
  if (microphone) {
    const samples = await microphone.close();
    microphone = null;
    showRecording();
    const name = `${say("recording", { time: new Date().toLocaleString("sv").replaceAll(":", "-") })}.wav`;
    await transcribe(new File([writeWav(samples, RATE)], name, { type: "audio/wav" }), async () => samples);
    return;
  }
  warn("");
  try {
    microphone = await Microphone.open();
    showRecording();
  } catch (error) {
    warn(say(error.name === "NotAllowedError" ? "denied" : "no_microphone"));
  }
}

function showRecording() {
  const button = find("record");
  button.setAttribute("aria-pressed", String(Boolean(microphone)));
  button.textContent = microphone ? say("stop", { seconds: microphone.seconds.toFixed(0) }) : say("record");
  if (microphone) setTimeout(showRecording, 500);
}

find("choose").addEventListener("click", () => find("file").click());
find("file").addEventListener("change", ({ target }) => {
  const files = [...target.files];
  target.value = "";
  take(files);
});
find("record").addEventListener("click", record);
if (!navigator.mediaDevices) find("record").hidden = true;
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault(); // or the browser would leave the page for the file
    find("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && !find("input").hidden) take([...event.dataTransfer.files]);
  });
}
start();
