// A transcript in the formats that people work in, as exports/formats. A transcript is { segments, words, seconds }, a
// segment or a word { start, end, text } in seconds; media: the recording's { name, type }.

export const WRITERS = { txt, srt, vtt, TextGrid: textgrid, eaf };

const SEGMENTS = "lect", WORDS = "lect words"; // tiers, and ELAN's linguistic types

export function txt({ segments }) {
  return segments.map(({ text }) => `${text}\n`).join("");
}

export function srt({ segments }) {
  return segments.map(({ start, end, text }, index) =>
    `${index + 1}\n${clock(start, ",", true)} --> ${clock(end, ",", true)}\n${text.replaceAll("-->", "->")}\n\n`).join("");
}

export function vtt({ segments }) {
  return "WEBVTT\n" + segments.map(({ start, end, text }) =>
    `\n${clock(start, ".", false)} --> ${clock(end, ".", false)}\n${escaped(text)}\n`).join("");
}

// Praat's, in its long form: each tier is filled from beginning to end, with empty intervals between.
export function textgrid({ segments, words, seconds }) {
  const tiers = [[SEGMENTS, segments], [WORDS, words]];
  const lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", `xmax = ${seconds.toFixed(6)}`];
  lines.push("tiers? <exists>", `size = ${tiers.length}`, "item []:");
  for (const [number, [name, items]] of tiers.entries()) {
    const intervals = filled(items, seconds);
    lines.push(`    item [${number + 1}]:`, '        class = "IntervalTier"', `        name = "${name}"`);
    lines.push("        xmin = 0", `        xmax = ${seconds.toFixed(6)}`, `        intervals: size = ${intervals.length}`);
    for (const [index, { start, end, text }] of intervals.entries()) {
      lines.push(`        intervals [${index + 1}]:`, `            xmin = ${start.toFixed(6)}`);
      lines.push(`            xmax = ${end.toFixed(6)}`, `            text = "${text.replaceAll('"', '""')}"`);
    }
  }
  return lines.join("\n") + "\n";
}

// ELAN's annotation document: words lie inside of their segments, with gaps.
export function eaf({ segments, words }, media) {
  let slots = 0, annotations = 0;
  const order = [];
  const tier = (name, items, parent) => {
    const lines = items.map(({ start, end, text }) => {
      const refs = [start, end].map((seconds) => {
        order.push(`    <TIME_SLOT TIME_SLOT_ID="ts${++slots}" TIME_VALUE="${Math.round(seconds * 1000)}" />`);
        return `ts${slots}`;
      });
      const edges = `TIME_SLOT_REF1="${refs[0]}" TIME_SLOT_REF2="${refs[1]}"`;
      return `    <ANNOTATION>
      <ALIGNABLE_ANNOTATION ANNOTATION_ID="a${++annotations}" ${edges}>
        <ANNOTATION_VALUE>${escaped(text)}</ANNOTATION_VALUE>
      </ALIGNABLE_ANNOTATION>
    </ANNOTATION>`;
    });
    const below = parent ? ` PARENT_REF="${parent}"` : "";
    return [`  <TIER TIER_ID="${name}" LINGUISTIC_TYPE_REF="${name}" ANNOTATOR="Lect"${below}>`, ...lines, "  </TIER>"].join("\n");
  };
  const tiers = [tier(SEGMENTS, segments), tier(WORDS, words, SEGMENTS)];
  const file = quoted(encodeURIComponent(media.name));
  return `<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" AUTHOR="Lect" DATE="${new Date().toISOString()}" FORMAT="3.0" VERSION="3.0" xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
    <MEDIA_DESCRIPTOR MEDIA_URL="./${file}" MIME_TYPE="${quoted(media.type || "audio/*")}" RELATIVE_MEDIA_URL="./${file}" />
  </HEADER>
  <TIME_ORDER>
${order.join("\n")}
  </TIME_ORDER>
${tiers.join("\n")}
  <LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="${SEGMENTS}" TIME_ALIGNABLE="true" GRAPHIC_REFERENCES="false" />
  <LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="${WORDS}" CONSTRAINTS="Included_In" TIME_ALIGNABLE="true" GRAPHIC_REFERENCES="false" />
  <CONSTRAINT STEREOTYPE="Included_In" DESCRIPTION="Time alignable annotations within the parent annotation's time interval, gaps are allowed" />
</ANNOTATION_DOCUMENT>
`;
}

// All items and what lies between them, without overlaps.
function filled(items, seconds) {
  const end = round6(seconds), intervals = [];
  let done = 0;
  for (const item of items) {
    const from = Math.max(done, round6(item.start)), to = Math.min(round6(item.end), end);
    if (to <= from) continue;
    if (from > done) intervals.push({ start: done, end: from, text: "" });
    intervals.push({ start: from, end: to, text: item.text });
    done = to;
  }
  if (done < end || !items.length) intervals.push({ start: done, end: seconds, text: "" });
  return intervals;
}

function clock(seconds, point, alwaysHours) {
  const all = Math.round(seconds * 1000), minutes = Math.floor(all / 60000), hours = Math.floor(minutes / 60);
  const two = (number) => String(number).padStart(2, "0");
  const rest = `${two(Math.floor((all % 60000) / 1000))}${point}${String(all % 1000).padStart(3, "0")}`;
  return `${hours || alwaysHours ? `${two(hours)}:` : ""}${two(minutes % 60)}:${rest}`;
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function quoted(text) {
  return escaped(text).replaceAll('"', "&quot;");
}

function round6(seconds) {
  return Math.round(seconds * 1e6) / 1e6;
}
