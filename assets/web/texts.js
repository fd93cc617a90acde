// What the page says; {name} is filled in.

const TEXTS = {
  loading: "Loading the model: {done} of {all} MB",
  starting: "Starting the model …",
  drop: "Drop a recording here, or a .lect file to write another lect.",
  choose: "Choose a file",
  record: "Record",
  stop: "Stop, {seconds} s",
  language: "Spoken language",
  detect: "Found out by itself",
  private: "Recordings stay on this device: this page sends nothing anywhere. Once loaded, it works without a network.",
  threads: "{threads} threads",
  one_thread: "1 thread",
  working: "Transcribing: {percent} %",
  reading: "Reading the recording …",
  waiting: "Waits for the one before.",
  done: "{words} words in {seconds} s of sound.",
  nothing: "No words were found in {seconds} s of sound.",
  unsure: "unsure",
  repeats: "repeats itself",
  doubt: "The model doubts this text",
  play: "Play from {time}",
  save: "Save as",
  pack: "Writes {title}.",
  bare: "Writes with {title} alone.",
  phones: "Writes rough phones, with {title} alone: drop a .lect file to write text.",
  pack_failed: "{file} was not taken. {sentence}",
  failed: "{sentence}",
  denied: "The microphone was refused: allow it for this page in the browser's settings.",
  no_microphone: "There is no microphone, or it is in use.",
  insecure: "This page was opened without https: there is no microphone, no use without a network, and packs are not checked for damage.",
  recording: "recording {time}",
  broken: "The model cannot be started: {sentence}",
};

export function say(key, values = {}) {
  return Object.entries(values).reduce((text, [name, value]) => text.replaceAll(`{${name}}`, value), TEXTS[key]);
}
