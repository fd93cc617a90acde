"""What annotation files have in common: texts with their times, in tiers."""

import math
from dataclasses import dataclass

from .items import Tier

CUES = "subtitles"  # the type of a tier that is a file of its own
POINT_TIER = "points"  # the type of a tier without lengths, of which no clip can be made


@dataclass(frozen=True)
class Annotation:
    """A text and when it is spoken."""

    start: float  # seconds; NaN where the file does not say
    end: float
    text: str
    speaker: str = ""  # where the annotation itself names one


@dataclass(frozen=True)
class Annotated:
    """What an annotation file holds."""

    tiers: list[tuple[Tier, list[Annotation]]]
    media: tuple[tuple[str, float], ...] = ()  # recordings: path, and the time in it where the file's time begins, in s


def seconds_of(milliseconds: str | None) -> float:
    """NaN where a file has no number."""
    try:
        seconds = float(milliseconds or "") / 1000
    except ValueError:
        return math.nan
    return seconds if math.isfinite(seconds) else math.nan
