// What the whole page needs: its language and direction, keys, playing clips, and downloads of edited text.

document.documentElement.lang = window.lectLanguage || "en";
document.documentElement.dir = ["ar", "fa", "he", "ur"].includes(window.lectLanguage) ? "rtl" : "ltr";

// <lect-words key="…">: a text of the catalogue inside HTML.
customElements.define("lect-words", class extends HTMLElement {
  connectedCallback() { this.textContent = (window.lectWords || {})[this.getAttribute("key")] || ""; }
});

const KEYS = {
  r: "lect-recorder .record", p: "lect-recorder .replay", k: "#keep", s: "#skip", g: "#gap",
  ArrowLeft: "#back", ArrowRight: "#forward",
};
const typing = (element) => element.closest("input, textarea, select, [contenteditable], [role=listbox], [role=tab]");
const seen = (selector) => [...document.querySelectorAll(selector)].find((element) => element.offsetParent !== null);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || typing(event.target)) return;
  const found = KEYS[event.key] && seen(KEYS[event.key]);
  if (!found || found.disabled) return;
  event.preventDefault();
  found.click();
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
