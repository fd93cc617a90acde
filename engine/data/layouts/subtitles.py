"""Texts with their times, one after another: SubRip (.srt) and WebVTT (.vtt).

Read as players read them: a line with an arrow begins a cue, and an empty line ends it. Markup is left out; a voice
tag of WebVTT names the speaker.
"""

import html
import math
import re
from collections.abc import Iterator

from ...contract.errors import TextError
from .items import Tier, decoded
from .spans import CUES, Annotated, Annotation

LINES = re.compile(r"\r\n|\r|\n")
CLOCK = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
ARROW = re.compile(rf"\s*{CLOCK}\s*-->\s*{CLOCK}(?:\s|$)")
SRT_TAGS = re.compile(
    r"</?(?:i|b|u|s|font)(?:\s[^>]*)?>|\{\\[^}]*\}", re.IGNORECASE
)  # SubRip's, and those of SubStation
ENTITY = re.compile(r"&#?\w{1,32};")  # complete ones only: SubRip has no rule that a & is written as one
VTT_TAGS = re.compile(r"<(?:/?[a-z][^>]*|/|\d[\d:.]*)?>", re.IGNORECASE)
VTT_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]+)>")
VTT_TIMED = re.compile(r"<\d[\d:.]+>")  # words with times of their own: captions that roll


def parse_srt(data: bytes, name: str) -> Annotated:
    """The cues of a SubRip file, as one tier. Raises TextError."""
    plain = ((times, ENTITY.sub(_character, _plain(SRT_TAGS, lines))) for times, lines in _cues(data, name))
    cues = [Annotation(*times, " ".join(text.split())) for times, text in plain if text.strip()]
    return Annotated([(Tier("srt", CUES), cues)])


def parse_vtt(data: bytes, name: str) -> Annotated:
    """The cues of a WebVTT file, as one tier. Raises TextError.

    Captions that roll, as YouTube's do, show each line a second time while the next is spoken: it counts once.
    """
    cues, shown, rolls = list[Annotation](), "", bool(VTT_TIMED.search(decoded(data, name)))
    for (start, end), lines in _cues(data, name):
        plain = [text for line in lines if (text := html.unescape(_plain(VTT_TAGS, [line])))]
        new = plain[1:] if rolls and plain and plain[0] == shown else plain
        shown = plain[-1] if plain else shown
        voices = {html.unescape(voice).strip() for voice in VTT_VOICE.findall(" ".join(lines))}
        if new:
            speaker = voices.pop() if len(voices) == 1 else ""
            cues.append(Annotation(start, end, " ".join(" ".join(new).split()), speaker))
    return Annotated([(Tier("vtt", CUES), cues)])


def _cues(data: bytes, name: str) -> Iterator[tuple[tuple[float, float], list[str]]]:
    """(start, end) in seconds, NaN where the file has nonsense, and the lines of each cue."""
    times, lines, found = None, list[str](), False
    # The last line's blank ends the last cue; a new arrow ends one too, for files whose empty lines were lost.
    for line in [*LINES.split(decoded(data, name)), ""]:
        arrow = ARROW.match(line)
        if times and (arrow or not line):
            yield times, lines[:-1] if arrow and lines and lines[-1].strip().isdecimal() else lines
            times = None
        if arrow:
            times, lines, found = (_seconds(*arrow.groups()[:4]), _seconds(*arrow.groups()[4:])), [], True
        elif times:
            lines.append(line)
        elif "-->" in line:  # mistyped: its text must not vanish
            times, lines = (math.nan, math.nan), []
    if not found:
        raise TextError(f"{name} has no times in it: save it again as subtitles.")


def _character(entity: re.Match[str]) -> str:
    return html.unescape(entity[0])


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return whole + (float(f"0.{fraction}") if fraction else 0.0)


def _plain(tags: re.Pattern[str], lines: list[str]) -> str:
    return " ".join(tags.sub("", " ".join(lines)).split())
