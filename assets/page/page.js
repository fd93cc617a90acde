// What the whole page needs: its language and direction, keys, and playing clips.

document.documentElement.lang = window.lectLanguage || "en";
document.documentElement.dir = window.lectLanguage === "ar" ? "rtl" : "ltr";

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

// What a click has opened elsewhere on the page is brought into view: a field, ready to be typed in; a part of the page.
const later = (act) => requestAnimationFrame(() => requestAnimationFrame(act));
window.lectFocus = (part) => later(() => document.querySelector(`${part} textarea, ${part} input`)?.focus());
window.lectShow = (part) => later(() => document.querySelector(part)?.scrollIntoView({ block: "nearest" }));

const KEYS = {
  r: "lect-recorder .record", p: "lect-recorder .replay", k: "#keep", s: "#skip", g: "#gap",
  ArrowLeft: "#back", ArrowRight: "#forward",
};
if (document.documentElement.dir === "rtl") [KEYS.ArrowLeft, KEYS.ArrowRight] = [KEYS.ArrowRight, KEYS.ArrowLeft];
const typing = (element) => element.closest("input, textarea, select, [contenteditable], [role=listbox], [role=tab]");
const seen = (selector) => [...document.querySelectorAll(selector)].find((element) => element.offsetParent !== null);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || typing(event.target)) return;
  const found = KEYS[event.key] && seen(KEYS[event.key]);
  if (!found || found.disabled) return;
  event.preventDefault();
  found.click();
});

// A button with data-step leads to another step.
document.addEventListener("click", (event) => {
  const step = event.target.closest("[data-step]")?.dataset.step;
  if (step) document.querySelector(`#steps [data-tab-id="${step}"]`).click();
});

const sound = new Audio();
let playing = null;
const rest = () => { if (playing) playing.textContent = "▶"; playing = null; };
sound.addEventListener("ended", rest);
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-play]");
  if (!button) return;
  const again = button === playing;
  sound.pause();
  rest();
  if (again) return;
  playing = button;
  button.textContent = "■";
  sound.src = button.dataset.play;
  sound.play().catch(rest);
});
