// lectSave(kind, words, found): saves what is on the page, corrections included, as txt, srt, vtt or json.
// words: the text field, a segment a line; found: what was heard, as JSON.

const two = (number) => String(Math.floor(number)).padStart(2, "0");
const clock = (seconds, mark) =>
  `${two(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}${mark}${String(Math.round((seconds % 1) * 1000) % 1000).padStart(3, "0")}`;

// The segments of one recording with the corrected texts. Times are lost where lines were joined or split.
function corrected(file, lines) {
  if (lines.length === file.segments.length) return file.segments.map((part, at) => ({ ...part, text: lines[at] }));
  const whole = { start: file.segments[0]?.start ?? 0, end: file.segments.at(-1)?.end ?? file.seconds ?? 0 };
  return lines.length ? [{ ...whole, text: lines.join("\n") }] : [];
}

function linesOf(words, files) {
  const lines = words.split("\n").filter((line) => line.trim());
  if (files.length === 1) return [lines];
  return files.map((file) => lines.filter((line) => line.startsWith(`${file.file}\t`)).map((line) => line.slice(file.file.length + 1)));
}

const cues = (parts, mark) => parts.map((part) => `${clock(part.start, mark)} --> ${clock(part.end, mark)}\n${part.text}`);

const WRITERS = {
  srt: (parts) => cues(parts, ",").map((cue, at) => `${at + 1}\n${cue}\n`).join("\n"),
  vtt: (parts) => `WEBVTT\n\n${cues(parts, ".").join("\n\n")}\n`,
};

function save(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

window.lectSave = (kind, words, found) => {
  const told = JSON.parse(found);
  if (kind === "txt") return save("transcript.txt", `${words.trimEnd()}\n`);
  const parts = linesOf(words, told.files).map((lines, at) => corrected({ segments: [], ...told.files[at] }, lines));
  if (kind === "json") {
    told.files.forEach((file, at) => { file.segments = parts[at]; });
    return save("transcript.json", JSON.stringify(told, null, 2));
  }
  told.files.forEach((file, at) => save(`${file.file.replace(/\.[^.]*$/, "")}.${kind}`, WRITERS[kind](parts[at])));
};
