// What the whole page needs: its language and direction, keys, and playing clips.

const language = window.lectLanguage || "en";
const nameLanguage = () => { if (document.documentElement.lang !== language) document.documentElement.lang = language; };
nameLanguage();
new MutationObserver(nameLanguage).observe(document.documentElement, { attributeFilter: ["lang"] }); // Gradio names its own
// Gradio takes the browser's language, unless that is said to be another; what it has no words in becomes English.
Object.defineProperty(navigator, "language", { get: () => language });
const translations = window.gradio_config?.i18n_translations;
if (translations) translations.en = translations[language] || translations.en;
document.addEventListener("change", ({ target }) => {
  if (!target.matches("[data-language]")) return;
  document.cookie = `lect-language=${target.value}; path=/; max-age=31536000; SameSite=Strict`;
  location.reload();
});
document.documentElement.dir = language === "ar" ? "rtl" : "ltr";

// <lect-words key="…">: a text of the catalogue inside HTML.
customElements.define("lect-words", class extends HTMLElement {
  connectedCallback() { this.textContent = (window.lectWords || {})[this.getAttribute("key")] || ""; }
});

// Fields for a language offer what the registry has for the words in them; any other name may be written.
const LANGUAGES_OFFERED = 30;
let languages = null;

async function offerLanguages(input) {
  languages ??= fetch("/page/languages.tsv").then((answer) => answer.text()).then((text) => text.trim().split("\n").map((row) => row.split("\t")));
  const words = input.value.trim().toLowerCase();
  const known = await languages;
  const found = words ? known.filter(([tag, name]) => tag.startsWith(words) || name.toLowerCase().includes(words)) : [];
  found.sort((a, b) => b[0].startsWith(words) - a[0].startsWith(words) || a[1].length - b[1].length);
  let list = document.getElementById("languages");
  if (!list) list = document.body.appendChild(Object.assign(document.createElement("datalist"), { id: "languages" }));
  list.replaceChildren(...found.slice(0, LANGUAGES_OFFERED).map(([tag, name]) => new Option(`${name} (${tag})`, tag)));
  input.setAttribute("list", "languages");
}

document.addEventListener("input", (event) => {
  const input = event.target.closest(".language input");
  if (input) offerLanguages(input);
});

// Gradio tells of what is typed at the press of a key alone: what is pasted, dictated, composed or deleted is typed too.
document.addEventListener("input", ({ target }) => {
  if (target.matches("textarea, input[type=text]")) target.dispatchEvent(new KeyboardEvent("keypress", { bubbles: true }));
});

// What a click has opened elsewhere on the page is brought into view: a field, ready to be typed in; a part of the page.
const later = (act) => requestAnimationFrame(() => requestAnimationFrame(act));
window.lectFocus = (part) => later(() => document.querySelector(`${part} textarea, ${part} input`)?.focus());
window.lectShow = (part) => later(() => {
  const shown = document.querySelector(part);
  // On a phone it lies over the foot of the page, and what was clicked goes above it.
  const over = shown?.closest("#clip-side") && getComputedStyle(shown.closest("#clip-side")).position === "fixed";
  (over ? document.activeElement : shown)?.scrollIntoView({ block: over ? "start" : "nearest" });
});

const KEYS = {
  r: "lect-recorder .record", p: "#verdict [data-play], lect-recorder .replay", k: "#keep", d: "#discard", s: "#skip",
  g: "#gap", ArrowLeft: "#back", ArrowRight: "#forward",
};
const rtl = document.documentElement.dir === "rtl";
if (rtl) [KEYS.ArrowLeft, KEYS.ArrowRight] = [KEYS.ArrowRight, KEYS.ArrowLeft];
const typing = (element) => element.closest("input, textarea, select, audio, [contenteditable], [role=listbox], [role=tab]");
const seen = (selector) => [...document.querySelectorAll(selector)].find((element) => element.offsetParent !== null);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || typing(event.target)) return;
  const found = KEYS[event.key] && seen(KEYS[event.key]);
  if (!found) return;
  // While it records, going on and keeping end the recording, and keep it if it is good.
  const recorder = seen("lect-recorder[onward][data-state=recording]");
  const onward = recorder && ["#forward", "#keep"].includes(KEYS[event.key]);
  if (found.disabled && !onward) return;
  event.preventDefault();
  if (onward) recorder.onward();
  else if (!recorder || found.matches(".record")) found.click();
});

// The arrow keys go from step to step, and from choice to choice: Gradio gives each radio button a group of its own.
const ROWS = [["[role=tab]", "[role=tablist]"], ["input[type=radio]", "fieldset"]];

document.addEventListener("keydown", (event) => {
  const row = ROWS.find(([item]) => event.target.matches?.(item));
  if (!row || event.ctrlKey || event.altKey || event.metaKey) return;
  const all = [...event.target.closest(row[1]).querySelectorAll(`${row[0]}:not(:disabled)`)];
  const at = all.indexOf(event.target), ahead = rtl ? -1 : 1;
  const places = { ArrowRight: at + ahead, ArrowLeft: at - ahead, ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 };
  const next = event.key in places && all.at(places[event.key] % all.length);
  if (!next) return;
  event.preventDefault();
  next.click();
  next.focus();
});

// A button with data-step leads to another step; with data-record, the microphone there is on at once.
window.lectOpen = (step, record = false) => {
  const tab = document.querySelector(`#steps [data-tab-id="${step}"]`);
  if (tab.disabled) return void setTimeout(window.lectOpen, 50, step, record); // its project has just been made
  tab.click();
  if (record) speak();
};
const speak = () => {
  const button = seen("lect-recorder .record");
  if (button && !button.disabled) button.click();
  else setTimeout(speak, 50);
};
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-step]");
  if (!button) return;
  window.lectOpen(button.dataset.step, "record" in button.dataset);
});

// While a sentence is recorded, no click leads to another one: to go on and to keep end the recording, all else waits.
document.addEventListener("click", (event) => {
  const recorder = seen("lect-recorder[onward][data-state=recording]");
  if (!recorder || !event.target.closest?.("#take-buttons, #sentence-list, #prompt")) return;
  event.preventDefault();
  event.stopPropagation();
  if (event.target.closest("#forward, #keep")) recorder.onward();
}, true);

const sound = new Audio();
let playing = null;
const sign = (button) => button.firstElementChild ?? button;
const rest = () => { if (playing) sign(playing).textContent = "▶"; playing = null; };
sound.addEventListener("ended", rest);
document.addEventListener("lect-quiet", () => { sound.pause(); rest(); }); // a microphone would hear it
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-play]");
  if (!button) return;
  const again = button === playing;
  sound.pause();
  rest();
  if (again) return;
  playing = button;
  sign(button).textContent = "■";
  sound.src = button.dataset.play;
  sound.play().catch(rest);
});
