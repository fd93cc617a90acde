// One recording's card: its sound, its segments as they come, and the files that it can be saved as.

import { RATE } from "./sound.js";
import { say } from "./texts.js";
import { WRITERS } from "./writers.js";

export class Result {
  constructor(file) {
    this.file = file;
    this.segments = [];
    this.element = document.getElementById("result").content.firstElementChild.cloneNode(true);
    this.part = (name) => this.element.querySelector(name);
    this.part(".name").textContent = file.name;
    this.part("audio").src = URL.createObjectURL(file);
    this.part(".state").textContent = say("reading");
  }

  begin(samples) {
    this.seconds = samples / RATE;
    this.part(".state").textContent = say("waiting");
  }

  progress(share) {
    this.part("progress").value = share;
    this.part(".state").textContent = say("working", { percent: Math.floor(100 * share) });
  }

  add(segment) {
    this.segments.push(segment);
    const row = document.createElement("li"), jump = document.createElement("button"), text = document.createElement("bdi");
    const time = clock(segment.start);
    jump.type = "button";
    jump.textContent = time;
    jump.setAttribute("aria-label", say("play", { time }));
    jump.addEventListener("click", () => this.#play(segment.start));
    text.textContent = segment.text;
    if (segment.language?.code) text.lang = segment.language.code;
    row.append(jump, text);
    if (segment.doubt) {
      const doubt = document.createElement("small");
      doubt.textContent = say(segment.doubt);
      doubt.title = say("doubt");
      row.append(doubt);
    }
    this.part(".segments").append(row);
  }

  end() {
    const words = this.segments.flatMap((segment) => segment.words), seconds = this.seconds.toFixed(1);
    this.part("progress").remove();
    this.part(".state").textContent = say(words.length ? "done" : "nothing", { words: words.length, seconds });
    const group = this.part(".save");
    group.hidden = !this.segments.length;
    group.setAttribute("aria-label", say("save"));
    group.append(say("save"), ...Object.keys(WRITERS).map((name) => this.#saving(name)));
  }

  fail(sentence) {
    this.part("progress").remove();
    this.part(".state").textContent = say("failed", { sentence });
    this.element.classList.add("bad");
  }

  #play(seconds) {
    const audio = this.part("audio");
    audio.currentTime = seconds;
    audio.play();
  }

  #saving(name) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () => this.#save(name));
    return button;
  }

  #save(name) {
    const words = this.segments.flatMap((segment) => segment.words);
    const text = WRITERS[name]({ segments: this.segments, words, seconds: this.seconds }, this.file);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    link.download = `${this.file.name.replace(/\.[^.]*$/, "")}.${name}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }
}

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}
