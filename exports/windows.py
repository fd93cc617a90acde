"""Stretches of speech side by side in one window: a Whisper computes thirty seconds whatever it hears, so what is heard
together costs a fraction of what is heard one by one.

It does not know what recognises a window.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

from lect.engine.audio.reading import SAMPLE_RATE

from .recognition import Recognised
from .segments import Piece
from .transcript import TimedWord

# Written without spaces, so that what is written of a window cannot be told apart by words: as openai-whisper has it.
UNSPACED = frozenset({"bo", "ja", "km", "lo", "my", "th", "yue", "zh"})

LEAST_LETTERS = 4  # a second, pauses around it included; people speak 10 to 15


def joined(pieces: Sequence[Piece], most: int) -> Iterator[list[Piece]]:
    """Neighbours together, up to so many samples of speech; a longer piece stands alone."""
    together: list[Piece] = []
    for piece in pieces:
        if together and sum(len(each.samples) for each in together) + len(piece.samples) > most:
            yield together
            together = []
        together.append(piece)
    if together:
        yield together


def parted(whole: Recognised, pieces: Sequence[Piece]) -> list[Recognised]:
    """What was recognised of pieces side by side, piece by piece, each with times from its own beginning.

    A word belongs to the piece that its middle lies in.
    """
    if len(pieces) == 1:
        return [whole]
    edges = [0.0, *(end / SAMPLE_RATE for end in accumulate(len(piece.samples) for piece in pieces))]
    edges[-1] = math.inf
    return [_part(whole, start, end) for start, end in pairwise(edges)]


def is_missed(piece: Piece, found: Recognised) -> bool:
    """Whether a Whisper has passed over a piece, as it does with sentences behind a pause: it is to be heard alone."""
    return len(found.text) < LEAST_LETTERS * len(piece.samples) / SAMPLE_RATE


def _part(whole: Recognised, start: float, end: float) -> Recognised:
    words = tuple(word for word in whole.words if start <= (word.start + word.end) / 2 < end)
    # A word's confidence is the product of its tokens', of which words have the same number on average.
    tokens = len(words) * len(whole.tokens) / max(1, len(whole.words))
    logs = sum(math.log(max(word.confidence, 1e-9)) for word in words)
    return replace(
        whole,
        tokens=(),
        text=" ".join(word.text for word in words),
        words=tuple(_within(word, start, end) for word in words),
        confidence=math.exp(logs / tokens) if tokens else 0.0,
    )


def _within(word: TimedWord, start: float, end: float) -> TimedWord:
    """With times from `start`; it may have reached beyond an edge."""
    return replace(word, start=round(max(word.start, start) - start, 3), end=round(min(word.end, end) - start, 3))
