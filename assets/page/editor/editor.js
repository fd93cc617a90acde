// <lect-editor at="/project/…/transcript/001">: a transcript by its segments. Texts are corrected where they stand; a
// click on a word or a segment lets it be heard; keys do all that buttons do.

import { Draft, post } from "./draft.js";
import { Wave } from "./wave.js";

const UNSURE = 0.6, EDGE_S = 0.05, AROUND_S = 0.08;
const words = (key, values = {}) =>
  (window.lectWords?.[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name]);
const clock = (seconds) => {
  const whole = Math.floor(seconds), hours = Math.floor(whole / 3600);
  const rest = `${String(Math.floor(whole / 60) % 60).padStart(hours ? 2 : 1, "0")}:${String(whole % 60).padStart(2, "0")}`;
  return hours ? `${hours}:${rest}` : rest;
};
const plain = (text) => text.replace(/\s+/g, " ").trim();
const make = (tag, options = {}, ...inside) => {
  const { data, aria, ...rest } = options;
  const element = Object.assign(document.createElement(tag), rest);
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(aria ?? {})) element.setAttribute(name, value);
  element.append(...inside);
  return element;
};

class Editor extends HTMLElement {
  static observedAttributes = ["at"];

  connectedCallback() {
    if (this.draft) return;
    this.address = this.getAttribute("at");
    this.project = this.address.split("/transcript/")[0];
    this.rows = new Map();
    this.chosen = 0;
    this.build();
    this.wave = new Wave(this.querySelector(".wave-box"), {
      chosen: (id) => this.choose(id, { play: true, focus: true }),
      moved: (part, start, end) => this.draft.act({ do: "move", part, start, end }),
      added: (start, end) => this.recut({ do: "add", start, end }),
      at: (time) => this.follow(time),
    });
    this.draft = new Draft(this.address, {
      changed: (...change) => this.change(...change),
      replaced: () => this.replace(),
      told: (sentence, asked) => this.tell(sentence, asked),
      saved: (saved) => { this.status.textContent = words(saved ? "draft_saved" : "draft_saving"); },
    });
    this.draft.load().then(() => this.wave.open(this.address, this.draft.seconds)).then(() => this.paint()).catch((error) => this.tell(error.message));
    this.leaving = () => this.draft.flush();
    addEventListener("pagehide", this.leaving);
    addEventListener("visibilitychange", this.leaving);
  }

  // Gradio keeps an element whose address alone is another, and takes out what is in it.
  attributeChangedCallback(_, before) {
    if (before === null) return;
    setTimeout(() => {
      this.close();
      this.replaceChildren();
      this.connectedCallback();
    });
  }

  disconnectedCallback() {
    // Gradio moves what it draws anew: only what stays away is closed.
    setTimeout(() => this.isConnected || this.close());
  }

  close() {
    if (!this.draft) return;
    this.draft.flush();
    this.wave.close();
    this.draft = null;
    removeEventListener("pagehide", this.leaving);
    removeEventListener("visibilitychange", this.leaving);
  }

  // What it is made of

  build() {
    const button = (name, act, more = {}) => make("button", { className: `act ${name}`, type: "button", textContent: words(`draft_${name}`), onclick: act, ...more });
    this.heading = make("h3");
    this.count = make("span", { className: "muted" });
    this.status = make("span", { className: "muted saved", aria: { role: "status" } });
    this.message = make("p", { className: "notice warn", hidden: true, aria: { role: "alert" } });
    this.undo = button("undo", () => this.recut({ do: "undo" }));
    this.redo = button("redo", () => this.recut({ do: "redo" }));
    const rate = make("select", { className: "rate-choice", onchange: () => { this.wave.rate = Number(rate.value); }, aria: { "aria-label": words("draft_rate") } },
      ...[0.5, 0.75, 1, 1.25, 1.5].map((times) => make("option", { value: times, textContent: `×${times}`, selected: times === 1 })));
    const zoom = make("input", { type: "range", min: 10, max: 400, value: 60, oninput: () => this.wave.zoom(Number(zoom.value)), aria: { "aria-label": words("draft_zoom") } });
    this.list = make("ol", { className: "parts", aria: { "aria-label": words("draft_segments") } });
    this.tools = make("div", { className: "tools", aria: { role: "toolbar", "aria-label": words("draft_tools") } },
      button("split", () => this.split(), { onmousedown: (event) => event.preventDefault() }), // the cursor stays where it is
      button("merge", () => this.recut({ do: "merge", part: this.chosen })),
      button("remove", () => this.remove_()),
      this.voice = make("input", { className: "voice", placeholder: words("draft_voice"), onchange: () => this.draft.act({ do: "speaker", part: this.chosen, speaker: this.voice.value }), aria: { "aria-label": words("draft_voice"), list: "voices" } }));
    this.append(
      make("div", { className: "editor-head" }, this.heading, this.count, this.status, make("span", { className: "space" }), this.undo, this.redo, rate, zoom),
      make("div", { className: "wave-box", aria: { "aria-hidden": "true" } }),
      this.keys(), this.message, this.tools, this.list, // the tools are in no row: rows would move under the mouse
      this.saving(), this.teaching());
    this.addEventListener("keydown", (event) => this.key(event));
    this.list.addEventListener("click", (event) => this.click(event));
    this.list.addEventListener("beforeinput", (event) => { if (this.busy) event.preventDefault(); });
    this.list.addEventListener("input", (event) => this.typed(event));
    this.list.addEventListener("change", (event) => this.ticked(event));
    this.list.addEventListener("focusin", (event) => this.focused(event));
    this.list.addEventListener("focusout", (event) => this.left(event));
    for (const kind of ["paste", "drop"]) this.list.addEventListener(kind, (event) => this.pasted(event), true);
    // Words are marked in the rows that are seen, and only there.
    this.seen = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) if (isIntersecting) this.mark(target);
    }, { root: this.list, rootMargin: "300px" });
  }

  keys() {
    const named = [["Enter", "check"], ["Alt+↑↓", "step"], ["Shift+Space", "hear"], ["Ctrl+I", "split"], ["Ctrl+J", "merge"],
      ["Alt+←→", "start"], ["Alt+Shift+←→", "end"], ["Alt+Del", "remove"], ["Ctrl+Z", "undo"]];
    return make("p", { className: "help editor-keys" }, ...named.map(([key, name]) => make("span", {}, make("kbd", { textContent: key }), ` ${words(`draft_key_${name}`)}`)));
  }

  saving() {
    const kinds = ["txt", "srt", "vtt", "TextGrid", "eaf", "json", "csv", "tsv", "ctm", "trn", "audacity", "flextext", "saymore"];
    const links = kinds.map((kind) => make("a", { className: "act", id: `save-${kind}`, href: `${this.address}/file/${kind}`, download: "", textContent: kind,
      onclick: (event) => { if (this.draft.typed || this.draft.waiting) { event.preventDefault(); this.draft.flush().then(() => event.target.click()); } } }));
    return make("div", { className: "links saves" }, make("span", { className: "muted", textContent: words("draft_save") }), ...links);
  }

  teaching() {
    const box = make("section", { className: "teach", hidden: this.project.endsWith("/none"), aria: { "aria-label": words("draft_teach") } });
    this.speaker = make("input", { id: "who", onchange: () => this.draft.act({ do: "speaker", part: 0, speaker: this.speaker.value }), aria: { list: "voices" } });
    const consent = make("input", { id: "consent", placeholder: words("draft_consent_example") });
    this.voices = make("datalist", { id: "voices" });
    this.outcome = make("div", { className: "outcome", aria: { role: "status" } });
    box.append(make("h4", { textContent: words("draft_teach") }), make("p", { className: "muted", textContent: words("draft_teach_what") }),
      make("label", {}, words("draft_speaker"), this.speaker), make("label", {}, words("draft_consent"), consent), this.voices,
      make("button", { className: "act primary", id: "use", type: "button", textContent: words("draft_use"), onclick: () => this.use(consent.value) }),
      make("button", { className: "act", id: "again", type: "button", textContent: words("draft_again"), onclick: () => this.again() }), this.outcome);
    return box;
  }

  row(part) {
    const text = make("div", { className: "words speech", aria: { contenteditable: "plaintext-only", role: "textbox", "aria-multiline": "false", dir: "auto", spellcheck: "false" } });
    const checked = make("input", { type: "checkbox", className: "checked" });
    const row = make("li", { data: { id: part.id } }, make("button", { className: "hear", type: "button" }), text, checked);
    this.fill(row, part);
    this.seen.observe(row);
    return row;
  }

  fill(row, part) {
    const [hear, text, checked] = [row.querySelector(".hear"), row.querySelector(".words"), row.querySelector(".checked")];
    const time = clock(part.start);
    hear.textContent = `▶ ${time}`;
    hear.setAttribute("aria-label", words("draft_hear", { time }));
    text.setAttribute("aria-label", words("draft_text", { time }));
    text.dataset.empty = words("draft_empty");
    checked.checked = part.checked;
    checked.setAttribute("aria-label", words("draft_checked", { time }));
    row.classList.toggle("done", part.checked);
    if (document.activeElement === text && plain(text.textContent) === part.text) return; // the cursor is in it
    text.textContent = part.text;
    delete row.dataset.marked;
    if (row.isConnected) this.mark(row);
  }

  // Unsure words are marked while nobody has changed them; the words keep single spaces between them.
  mark(row) {
    const part = this.draft.part(Number(row.dataset.id)), text = row.querySelector(".words");
    if (!part || row.dataset.marked || document.activeElement === text) return;
    row.dataset.marked = "true";
    if (part.words.map(([word]) => word).join(" ") !== part.text || part.checked) return;
    if (part.words.every(([, , , sure]) => sure >= UNSURE)) return;
    text.replaceChildren(...part.words.flatMap(([word, , , sure], index) => {
      const shown = sure < UNSURE ? make("span", { className: "unsure", title: `${Math.round(100 * sure)} %`, textContent: word }) : word;
      return index ? [" ", shown] : [shown];
    }));
  }

  // What the server has answered

  replace() {
    const { file, parts } = this.draft;
    this.heading.textContent = file;
    this.speaker.value = this.draft.speaker;
    this.voices.replaceChildren(...this.draft.speakers.map((name) => make("option", { value: name })));
    this.rows = new Map(parts.map((part) => [part.id, this.row(part)]));
    this.list.replaceChildren(...this.rows.values());
    this.paint();
  }

  change(old, parts, asked) {
    const ids = new Set(parts.map((part) => part.id));
    for (const { id } of old) {
      if (ids.has(id)) continue;
      this.rows.get(id)?.remove();
      this.rows.delete(id);
    }
    for (const part of parts) {
      const row = this.rows.get(part.id);
      if (row) { this.fill(row, part); continue; }
      const made = this.row(part), next = this.draft.parts[this.draft.at(part.id) + 1];
      this.rows.set(part.id, made);
      this.list.insertBefore(made, next ? this.rows.get(next.id) ?? null : null);
    }
    this.message.hidden = true;
    this.paint();
    if (asked.do === "split" || asked.do === "split_at" || asked.do === "add") this.choose(parts.at(-1).id, { focus: true });
    else if (!this.rows.has(this.chosen) && parts.length && asked.do !== "remove") this.choose(parts[0].id, { focus: true });
  }

  paint() {
    const { parts, undo, redo } = this.draft;
    const done = parts.filter((part) => part.checked).length;
    this.count.textContent = words("draft_count", { done, total: parts.length });
    this.undo.disabled = !undo;
    this.redo.disabled = !redo;
    this.wave.update(parts, this.chosen);
  }

  tell(sentence, asked) {
    this.message.textContent = sentence;
    this.message.hidden = false;
    const part = asked && this.draft.part(asked.part);
    if (part) this.fill(this.rows.get(part.id), part);
    this.paint();
  }

  // Which segment is meant

  choose(id, { play = false, focus = false } = {}) {
    const row = this.rows.get(id), part = this.draft.part(id);
    if (!row) return;
    this.rows.get(this.chosen)?.removeAttribute("aria-current");
    this.chosen = id;
    row.setAttribute("aria-current", "true");
    this.voice.value = part.speaker;
    if (focus && document.activeElement !== row.querySelector(".words")) {
      row.querySelector(".words").focus({ preventScroll: true });
      row.scrollIntoView({ block: "nearest" });
    }
    this.wave.show(part);
    this.wave.update(this.draft.parts, id);
    if (play) this.wave.play(part.start, part.end);
  }

  step(by, options = { play: true, focus: true }) {
    const next = this.draft.parts[this.draft.at(this.chosen) + by];
    if (next) this.choose(next.id, options);
    return Boolean(next);
  }

  hear(id = this.chosen) {
    const part = this.draft.part(id);
    if (this.wave.playing) this.wave.stop();
    else if (part) this.wave.play(part.start, part.end);
  }

  follow(time) {
    const part = this.draft.parts.find(({ start, end }) => start <= time && time < end);
    const now = part && this.rows.get(part.id);
    if (now === this.now) return;
    this.now?.classList.remove("now");
    now?.classList.add("now");
    this.now = now;
  }

  // What a person does

  click(event) {
    const row = event.target.closest("li");
    if (!row) return;
    const id = Number(row.dataset.id);
    if (event.target.closest(".hear")) {
      this.choose(id, { focus: true });
      this.hear(id);
    } else if (event.target.closest(".words")) {
      const part = this.draft.part(id), word = part.words[this.before(row).split(" ").length - 1];
      if (word) this.wave.play(word[1] - AROUND_S, word[2] + AROUND_S);
    }
  }

  // The text in front of the cursor, with single spaces.
  before(row) {
    const selection = getSelection(), text = row.querySelector(".words");
    if (!selection.rangeCount || !text.contains(selection.focusNode)) return text.textContent;
    const range = document.createRange();
    range.setStart(text, 0);
    range.setEnd(selection.focusNode, selection.focusOffset);
    return range.toString().replace(/\s+/g, " ").replace(/^ /, "");
  }

  typed(event) {
    const row = event.target.closest("li");
    if (!event.target.matches(".words")) return;
    this.draft.type(Number(row.dataset.id), plain(event.target.textContent), row !== this.typing);
    this.typing = row;
  }

  pasted(event) {
    if (!event.target.closest?.(".words")) return;
    event.preventDefault();
    const text = (event.clipboardData ?? event.dataTransfer).getData("text/plain");
    document.execCommand("insertText", false, text.replace(/\s+/g, " "));
  }

  ticked(event) {
    if (event.target.matches(".checked")) this.draft.act({ do: "check", part: Number(event.target.closest("li").dataset.id), checked: event.target.checked });
  }

  focused(event) {
    const id = Number(event.target.closest("li").dataset.id);
    if (id !== this.chosen) this.choose(id);
  }

  left(event) {
    const row = event.target.closest("li");
    if (!event.target.matches(".words")) return;
    this.draft.flush();
    this.typing = null;
    delete row.dataset.marked;
    setTimeout(() => this.mark(row));
  }

  // What changes which segments there are. Until it is done, a letter would be typed into another segment than is meant,
  // and a key mean another one, so letters are not taken and keys wait.
  recut(asked) {
    this.busy = (this.busy ?? 0) + 1;
    return this.draft.act(asked).finally(() => { this.busy -= 1; });
  }

  async split() {
    const row = this.rows.get(this.chosen);
    const offset = [...this.before(row)].length, whole = plain(row.querySelector(".words").textContent);
    if (whole && 0 < offset && offset < [...whole].length) return this.recut({ do: "split", part: this.chosen, offset });
    const part = this.draft.part(this.chosen), when = this.wave.sound?.currentTime ?? 0;
    const inside = part.start < when && when < part.end;
    return this.recut({ do: "split_at", part: this.chosen, when: inside ? when : (part.start + part.end) / 2 });
  }

  async check() {
    const part = this.chosen;
    const text = plain(this.rows.get(part).querySelector(".words").textContent);
    const acted = this.draft.act({ do: "check", part, checked: true });
    if (text) this.step(1) || this.list.querySelector("[aria-current] .words").focus();
    await acted;
  }

  remove_() {
    const gone = this.chosen;
    if (!this.step(1, { focus: true })) this.step(-1, { focus: true });
    this.recut({ do: "remove", part: gone });
  }

  move(start, end) {
    const part = this.draft.part(this.chosen);
    this.draft.act({ do: "move", part: part.id, start: part.start + start, end: part.end + end });
  }

  key(event) {
    const inText = event.target.matches?.(".words"), command = event.ctrlKey || event.metaKey;
    const actions = [
      [inText && event.key === "Enter" && !event.isComposing, () => this.check()],
      [event.altKey && event.key === "ArrowDown", () => this.step(1)],
      [event.altKey && event.key === "ArrowUp", () => this.step(-1)],
      [event.code === "Space" && (event.shiftKey || command), () => this.hear()],
      [event.key === "Escape", () => this.wave.stop()],
      [command && event.code === "KeyI", () => this.split()],
      [command && event.code === "KeyJ", () => this.recut({ do: "merge", part: this.chosen })],
      [event.altKey && event.shiftKey && event.key === "ArrowLeft", () => this.move(0, -EDGE_S)],
      [event.altKey && event.shiftKey && event.key === "ArrowRight", () => this.move(0, EDGE_S)],
      [event.altKey && event.key === "ArrowLeft", () => this.move(-EDGE_S, 0)],
      [event.altKey && event.key === "ArrowRight", () => this.move(EDGE_S, 0)],
      [event.altKey && event.key === "Delete", () => this.remove_()],
      [command && (event.code === "KeyY" || (event.shiftKey && event.code === "KeyZ")), () => this.recut({ do: "redo" })],
      [command && event.code === "KeyZ", () => this.recut({ do: "undo" })],
    ];
    const found = actions.find(([is]) => is);
    if (!found || event.target.matches("select, .teach input, .voice")) return;
    event.preventDefault();
    event.stopPropagation();
    if (this.chosen) this.busy ? this.draft.last.then(found[1]) : found[1]();
  }

  // From a transcript to a training

  async use(consent) {
    await this.draft.flush();
    const answer = await post(`${this.address}/use`, JSON.stringify({ consent }));
    const found = await answer.json();
    this.say(found.error ?? found.html, !answer.ok);
  }

  async again() {
    const answer = await post(`${this.project}/train-again`, "{}");
    const found = await answer.json();
    if (!answer.ok) return this.say(found.error, true);
    document.querySelector('#steps [data-tab-id="train"]').click();
  }

  say(what, plainText) {
    if (plainText) this.outcome.replaceChildren(make("p", { className: "notice warn", textContent: what }));
    else this.outcome.innerHTML = what; // the server's own, which escapes what people wrote
  }
}

customElements.define("lect-editor", Editor);
