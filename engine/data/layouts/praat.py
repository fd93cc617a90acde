"""Praat's TextGrids, long or short, in UTF-8 or UTF-16.

Read by Praat's own rule: in a text file only free-standing numbers, quoted texts and flags in <angle brackets> count,
all else is decoration.
"""

import re
from collections.abc import Iterator

from ...contract.errors import TextError
from .items import Tier, decoded
from .praat_symbols import in_unicode
from .spans import POINT_TIER, Annotated, Annotation

TOKEN = re.compile(
    r'"([^"]*(?:""[^"]*)*)"|<(\w+)>|(?<!\S)([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)%?(?!\S)|![^\n]*|[^\s"!<]+|[<"]'
)
INTERVALS, POINTS = "IntervalTier", "TextTier"


def parse(data: bytes, name: str) -> Annotated:
    """The tiers of a TextGrid; those of points are of a type of their own. Raises TextError."""
    if data.startswith(b"ooBinaryFile"):
        raise TextError(f"{name} is a binary TextGrid: save it as a text file in Praat.")
    tokens = _tokens(decoded(data, name))
    try:
        if (next(tokens), next(tokens)) != ("ooTextFile", "TextGrid"):
            raise ValueError("it does not begin as one")
        next(tokens), next(tokens)  # the time of all
        if next(tokens) != "exists":
            return Annotated([])
        return Annotated([_tier(tokens) for _ in range(int(next(tokens)))])
    except (ValueError, StopIteration, RuntimeError) as error:
        raise TextError(f"{name} is no TextGrid, or a damaged one: save it again in Praat.") from error


def _tokens(text: str) -> Iterator[str]:
    for match in TOKEN.finditer(text):
        quoted, flag, number = match.groups()
        if quoted is not None:
            yield quoted.replace('""', '"')
        elif flag or number:
            yield flag or number


def _tier(tokens: Iterator[str]) -> tuple[Tier, list[Annotation]]:
    kind, name, _, _, size = (next(tokens) for _ in range(5))
    if kind not in (INTERVALS, POINTS):
        raise ValueError(kind)
    found = []
    for _ in range(int(size)):
        start = float(next(tokens))
        end = float(next(tokens)) if kind == INTERVALS else start
        if text := " ".join(in_unicode(next(tokens)).split()):
            found.append(Annotation(start, end, text))
    return Tier(name, POINT_TIER if kind == POINTS else ""), found
