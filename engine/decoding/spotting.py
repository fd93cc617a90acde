"""Words in what a CTC head heard, without a text: where its scores follow a word nearly as well as anything else.

A token costs, in a frame, as much as it is less probable than the frame's most probable one, so that the best path of
all costs nothing and is the filler that keyword spotting compares with. A word costs what the cheapest CTC path through
its tokens does, wherever it begins. In numpy; it does not know recordings, nor how words are spelled.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ..text.vocabulary import PAD
from .ctc import LogProbs

STEP = 0.05  # nats, of a stored cost; up to 12.75, beyond which a token is as good as impossible
GROUP = 2048  # pieces that are looked through at once: more would not be quicker, and take more memory
_FRAME_BITS = 16  # of a frame's number; no piece of speech is longer than a minute
_LAST_FRAME = (1 << _FRAME_BITS) - 1
_BARRED = np.int64(1) << 48

Costs = npt.NDArray[np.uint8]  # (vocab, frames), in steps


@dataclass(frozen=True)
class Spot:
    """A place where a word may have been said."""

    piece: int
    start: int  # frame
    end: int  # frame, the first one after it
    score: float  # in (0, 1]: the geometric mean over the tokens of how probable they are beside the best path; 1 is it


def costs(log_probs: LogProbs) -> Costs:
    """(frames, vocab) -> what is kept of it."""
    best = log_probs.max(axis=1, keepdims=True)
    steps: Costs = np.rint(np.minimum((best - log_probs) / STEP, 255)).astype(np.uint8).T
    return steps


def spot(
    pieces: Sequence[Costs], tokens: Sequence[int], least: float, boundary: int | None = None, blank: int = PAD
) -> list[Spot]:
    """Where the word of these tokens may be, best first; those of one piece do not overlap.

    least: the lowest score; boundary: the token that stands around words, where the word must not be part of another.
    """
    path, edge = _path(tokens, boundary, blank), boundary is not None
    lengths = {number: piece.shape[1] for number, piece in enumerate(pieces) if piece.shape[1]}
    order = sorted(lengths, key=lengths.__getitem__)
    found = list[Spot]()
    for first in range(0, len(order), GROUP):
        group = order[first : first + GROUP]
        ends, starts = _search([pieces[piece] for piece in group], path, edge, blank)
        for row in np.flatnonzero(ends.min(axis=0) <= _most(least, len(tokens))):
            found += _peaks(group[row], ends[:, row], starts[:, row], len(tokens), least)
    if edge and found:
        found = _trimmed(found, pieces, tokens, blank)
    return sorted(found, key=lambda each: -each.score)


def _trimmed(found: Sequence[Spot], pieces: Sequence[Costs], tokens: Sequence[int], blank: int) -> list[Spot]:
    """Without the boundaries, which lie a pause away."""
    inner = [pieces[each.piece][:, max(0, each.start - 1) : each.end] for each in found]  # a frame is put in front
    ends, starts = _search(inner, _path(tokens, None, blank), False, blank)
    last, columns = ends.argmin(axis=0), np.arange(len(inner))
    return [
        replace(each, start=max(0, each.start - 1) + int(start), end=max(0, each.start - 1) + int(end) + 1)
        for each, start, end in zip(found, starts[last, columns], last, strict=True)
    ]


def _path(tokens: Sequence[int], boundary: int | None, blank: int) -> list[int]:
    """The states of a word: its tokens with blanks between, boundaries around."""
    labels = list(tokens) if boundary is None else [boundary, *tokens, boundary]
    return [state for label in labels for state in (label, blank)][:-1]


def _search(
    pieces: Sequence[Costs], path: Sequence[int], edge: bool, blank: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """(frames, pieces): what the word costs that ends in a frame, and where it starts."""
    padding = int(edge)  # a frame before and after each piece, that is a boundary for sure
    longest = max(piece.shape[1] for piece in pieces) + 2 * padding
    emitted = np.full((longest, len(path), len(pieces)), 255, np.uint8)
    for column, piece in enumerate(pieces):
        emitted[padding : padding + piece.shape[1], :, column] = piece[np.asarray(path)].T
        if edge:
            sure = [0 if state == path[0] else 255 for state in path]
            emitted[0, :, column] = emitted[padding + piece.shape[1], :, column] = sure
    barred = np.array([state in (blank, path[n]) for n, state in enumerate(path[2:])], np.int64)[:, None] * _BARRED
    # A cost and where its path began are one number, so that the cheaper path is the smaller one: twice as quick.
    best = np.full((len(path), len(pieces)), _BARRED)
    ends = np.empty((longest, len(pieces)), np.int64)
    for frame in range(longest):
        grown = best.copy()
        np.minimum(best[1:], best[:-1], out=grown[1:])
        np.minimum(grown[2:], best[:-2] + barred, out=grown[2:])
        grown[0] = _LAST_FRAME - frame  # a word may begin anywhere; of equally cheap places it is the latest
        best = grown + (emitted[frame].astype(np.int64) << _FRAME_BITS)
        ends[frame] = best[-1]
    return (ends >> _FRAME_BITS).astype(np.float32) * np.float32(STEP), _LAST_FRAME - (ends & _LAST_FRAME)


def _most(least: float, count: int) -> float:
    """The cost of the lowest score."""
    return float(-np.log(max(least, 1e-9))) * count


def _peaks(
    piece: int, ends: npt.NDArray[np.float32], starts: npt.NDArray[np.int64], count: int, least: float
) -> list[Spot]:
    """The cheapest places of a piece that do not overlap."""
    found, left = list[Spot](), ends.copy()
    frames = np.arange(len(ends))
    while (cost := left[end := int(left.argmin())]) <= _most(least, count):
        start = int(starts[end])
        found.append(Spot(piece, start, end + 1, float(np.exp(-cost / count))))
        left[(starts <= end) & (frames >= start)] = np.inf
    return found


def heard_tokens(pieces: Sequence[Costs], blank: int = PAD) -> tuple[int, ...]:
    """The tokens of the best path through all pieces: what an example of a word says."""
    best = [int(token) for piece in pieces for token in [blank, *piece.argmin(axis=0)]]
    return tuple(token for last, token in pairwise(best) if token not in (blank, last))
