"""Text files whose lines say when they are spoken: Audacity's labels, ELAN's tab-delimited text, what Whisper prints,
subtitles and TextGrids that were saved as .txt.

A file is one of these when most of its lines have times, whatever its first line is: such a file must never be taken as
what is said in a whole recording, numbers and all.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, pairwise, takewhile

from ...contract.errors import TextError
from .columns import holds_names
from .items import Tier, decoded
from .praat import parse as parse_praat
from .spans import CUES, Annotated, Annotation
from .subtitles import ARROW, LINES, parse_srt, parse_vtt

MOST = 0.5  # of the lines have times in a file that is not what is said
CUE_LINES = 0.2  # of a subtitle's lines are its times; each has its number and its text around it
CLOCK = r"-?(?:\d+:)?\d{1,2}:\d{1,2}(?:[.,]\d{1,3})?"  # hours, minutes, seconds
NUMBER = r"-?\d+(?:[.,]\d+)?s?"
TIME = re.compile(rf"(?:{CLOCK}|{NUMBER})$")
FRACTION = rf"(?:{CLOCK}|-?\d+[.,]\d+s?)"  # what no sentence begins with twice
GAP = r"\s{0,8}"  # bounded, so that no line of blanks takes quadratic time
RANGE = re.compile(  # [00:00.000 --> 00:01.800] text, 0:00 - 0:01: text, 0.00 1.80 text, 0.00,1.80,text
    rf"[\[(<]?{GAP}({FRACTION}){GAP}(?:-->|->|–|—|-|[,;|]|\s){GAP}({FRACTION}){GAP}[\])>]?(?:[:,;|\s](.*))?$"
)
NAMED_RANGE = re.compile(  # Ana: [0:00 - 0:01] text
    rf"(.{{1,40}}?)[:\s]{GAP}[\[(]{GAP}({FRACTION}){GAP}(?:-->|->|–|—|-|,){GAP}({FRACTION}){GAP}[\])]:?(.*)$"
)
START = re.compile(rf"(?:[\[(<]\s*{CLOCK}\s*[\])>]|{CLOCK}(?=\s|$))")
NAMED_START = re.compile(rf".{{1,40}}\s[\[(]?{CLOCK}[\])]?\s*$")  # Anna  0:05
TICKS = re.compile(r"\d+\s+\d+\s+\S+$")  # HTK's, of 100 ns, and a phone
FREQUENCIES = "\\"  # begins a second line of Audacity's
TEXTGRID = re.compile(r'\s*(?:File type = )?"ooTextFile')
WEBVTT = "WEBVTT"
TIER_COLUMNS, SPEAKER_COLUMNS = ("tier",), ("participant", "speaker")
BEGIN, END, DURATION = re.compile("begin|start"), re.compile("end|stop"), re.compile("duration")
MILLISECONDS = re.compile(r"(?<!ss\.)\bms(?:ec)?\b|millisecond")

Cells = list[str]


@dataclass(frozen=True)
class Shape:
    """Which cell of a line is what."""

    start: int
    end: int
    texts: dict[int, str]  # column -> its tier's name, "" for the one that `tier` names
    rest: bool = False  # the last text goes on in the cells behind it
    tier: int | None = None
    speaker: int | None = None
    unit_s: float = 1.0  # of a time that is a number
    is_length: bool = False  # `end` counts from the start


def is_timed(text: str) -> bool:
    """Whether most lines of a text, or of its beginning, have times."""
    lines = _lines(text)
    if TEXTGRID.match(text) or (lines and lines[0].startswith(WEBVTT)):
        return True
    if not lines:
        return False
    ranges = sum(_has_range(line, alone=len(lines) == 1) for line in lines)
    arrows = sum(bool(ARROW.match(line)) for line in lines)
    return ranges >= MOST * len(lines) or arrows >= CUE_LINES * len(lines) or _has_starts(lines)


def is_ticks(text: str) -> bool:
    """Whether a text is a label file of HTK's, with phones or words and their times."""
    lines = _lines(text)
    return len(lines) > 1 and all(map(TICKS.match, lines))


def parse_timed(data: bytes, name: str) -> Annotated:
    """The stretches of a file, in the tiers that it names; points have no length, and stay. Raises TextError."""
    text = decoded(data, name)
    lines = _lines(text)
    if TEXTGRID.match(text):
        return parse_praat(data, name)
    if lines and lines[0].startswith(WEBVTT):
        return parse_vtt(data, name)
    arrows = [line for line in lines if ARROW.match(line)]
    if arrows and not any((match := RANGE.match(line)) and match[3] for line in arrows):
        return parse_srt(data, name)
    if _has_starts(lines) and not any(_has_range(line, alone=False) for line in lines):
        raise TextError(f"{name} says when its lines begin, and not when they end: write both, as subtitles do.")
    header, rows = _rows(lines, name)
    shape = (_stated(header) or _told(rows)) if rows else Shape(0, 1, {})
    if shape is None:
        raise TextError(f"{name} has its times in columns that differ: give each line a start, an end and a text.")
    return Annotated(_tiers(shape, rows))


def _lines(text: str) -> list[str]:
    lines = [line.strip("\ufeff \r") for line in LINES.split(text)]
    return [line for line in lines if line.strip() and not line.startswith((FREQUENCIES, "#"))]


def _has_range(line: str, alone: bool) -> bool:
    """Whether a line has a start and an end; alone: the only one, which might be a sentence with clock times in it."""
    cells = line.split("\t")
    if sum(bool(TIME.match(cell.strip())) for cell in cells) > 1:
        return True
    match = RANGE.match(line)
    return bool(NAMED_RANGE.match(line)) or bool(match and (not alone or line[0] in "[(<" or "-->" in line))


def _has_starts(lines: Sequence[str]) -> bool:
    """Whether lines say when they begin, or follow others that do, as transcripts of meetings have it."""
    places = [at for at, line in enumerate(lines) if START.match(line) or NAMED_START.match(line)]
    return len(places) > 1 and len(places) >= len(lines) / 3 and max(b - a for a, b in pairwise(places)) < 6


def _rows(lines: Sequence[str], name: str) -> tuple[Cells, list[Cells]]:
    """The names of the columns, where the file states them, and the cells of each line."""
    rows = [_cells(line) for line in lines]
    named = (row for row in rows[:3] if any(map(BEGIN.search, map(str.lower, row))) and not any(map(TIME.match, row)))
    header = next(named, Cells())
    for row, line in zip(rows, lines, strict=True):
        if row is not header and sum(bool(TIME.match(cell)) for cell in row) < 2:
            raise TextError(f"{name} has a line without times, “{line[:60]}”: give each a start, an end and a text.")
    return [cell.lower() for cell in header], [row for row in rows if row is not header]


def _cells(line: str) -> Cells:
    if "\t" in line:
        return [cell.strip() for cell in line.split("\t")]
    match = RANGE.match(line) or NAMED_RANGE.match(line)
    return [(cell or "").strip() for cell in match.groups()] if match else [line]


def _stated(header: Sequence[str]) -> Shape | None:
    """The shape that a row of names gives."""
    edges = {at for at, cell in enumerate(header) if any(map(re.search, (BEGIN, END, DURATION), (cell,) * 3))}
    start = next((at for at, cell in enumerate(header) if BEGIN.search(cell)), None)
    if start is None:
        return None
    form = BEGIN.sub("", header[start])
    end = next((at for at, cell in enumerate(header) if END.search(cell) and END.sub("", cell) == form), None)
    length = next((at for at, cell in enumerate(header) if DURATION.search(cell)), None)
    last = end if end is not None else length
    if last is None:
        return None
    tier = next((at for at, cell in enumerate(header) if cell in TIER_COLUMNS), None)
    speaker = next((at for at, cell in enumerate(header) if cell in SPEAKER_COLUMNS), None)
    texts = {at: cell for at, cell in enumerate(header) if cell and at not in {*edges, tier, speaker}}
    alone = tier is not None or len(texts) == 1
    unit_s = 0.001 if MILLISECONDS.search(form) else 1.0
    return Shape(start, last, dict.fromkeys(texts, "") if alone else texts, False, tier, speaker, unit_s, end is None)


def _told(rows: Sequence[Cells]) -> Shape | None:
    """The shape that the rows show: names, times, texts; or texts and times. None where rows differ."""
    timed = [at for at in range(min(map(len, rows))) if all(TIME.match(row[at]) for row in rows)]
    first = next((at for at in timed if at + 1 in timed), None)
    if first is None:
        return None
    times = list(takewhile(lambda at: at in timed, count(first)))
    if not first and len(times) > 2 and not any("".join(row[times[-1] + 1 :]) for row in rows):
        times = times[:-1]  # labels that are numbers
    edges, unit_s = _edges(rows, times)
    last = times[-1]
    if not any("".join(row[last + 1 :]) for row in rows):
        return Shape(*edges, dict.fromkeys(range(first), ""), unit_s=unit_s)
    names, texts = [_cell(row, last + 1) for row in rows], [" ".join(row[last + 2 :]) for row in rows]
    if not first and all(texts) and holds_names(names, texts):
        return Shape(*edges, {last + 2: ""}, True, speaker=last + 1, unit_s=unit_s)
    return Shape(*edges, {last + 1: ""}, True, 0 if first else None, 1 if first > 1 else None, unit_s)


def _edges(rows: Sequence[Cells], times: Sequence[int]) -> tuple[tuple[int, int], float]:
    """The columns of start and end, the clearest where there are some of each form, and the unit of their numbers."""
    clocks = [at for at in times if all(":" in row[at] for row in rows)]
    decimals = [at for at in times if at not in clocks and any("." in row[at] or "," in row[at] for row in rows)]
    whole = [at for at in times if at not in (*clocks, *decimals)]
    start, end, *_ = next(each for each in (clocks, decimals, whole, times) if len(each) > 1)
    # Whole numbers behind a tier's name are ELAN's milliseconds.
    return (start, end), 0.001 if start in whole and times[0] > 0 else 1.0


def _tiers(shape: Shape, rows: Sequence[Cells]) -> list[tuple[Tier, list[Annotation]]]:
    found: dict[Tier, list[Annotation]] = {}
    for row in rows:
        start, end = (_seconds(_cell(row, at), shape.unit_s) for at in (shape.start, shape.end))
        end += start if shape.is_length else 0.0
        start = 0.0 if start < 0 < end else start  # a label that was dragged beyond the beginning
        speaker = _cell(row, shape.speaker)
        for tier, text in _texts(row, shape):
            kept = Tier(tier, participant=speaker) if tier else Tier("labels", CUES)
            found.setdefault(kept, []).append(Annotation(start, end, text, "" if tier else speaker))
    return list(found.items()) or [(Tier("labels", CUES), [])]


def _texts(row: Cells, shape: Shape) -> Iterator[tuple[str, str]]:
    """The tiers and texts of a line."""
    cells = {shape.texts[at] or _cell(row, shape.tier): "" for at in shape.texts}
    for at, name in shape.texts.items():
        text = " ".join(row[at:] if shape.rest else [_cell(row, at)])
        tier = name or _cell(row, shape.tier)
        cells[tier] = " ".join(f"{cells[tier]} {text}".split())
    yield from ((tier, text) for tier, text in cells.items() if text)


def _cell(row: Cells, at: int | None) -> str:
    return row[at] if at is not None and at < len(row) else ""


def _seconds(time: str, unit_s: float) -> float:
    parts = time.strip("-s").replace(",", ".").split(":")
    try:
        seconds = math.fsum(float(part) * 60**place for place, part in enumerate(reversed(parts)))
    except ValueError:
        return math.nan
    return (-seconds if time.startswith("-") else seconds) * (unit_s if len(parts) == 1 else 1.0)
