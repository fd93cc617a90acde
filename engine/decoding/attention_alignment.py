"""Where in a recording the tokens of a text lie, by the decoder's cross-attention: dynamic time warping, in numpy.

After `timing.py` of openai/whisper: some heads of a Whisper attend to the sound of the token that they predict. It does
not know which heads these are, nor what a frame or a token is.
"""

import numpy as np

from .ctc import Floats, Ints

MEDIAN_FRAMES = 7  # what a head attends to is smoothed over so many


def attention_align(weights: Floats) -> Ints:
    """The frames of each token: (tokens + 1, heads, frames) -> (tokens, 2), from (inclusive) to (exclusive).

    weights: after a softmax over the frames, of the steps that predict the tokens and then the end.
    """
    tokens, frames = len(weights) - 1, weights.shape[2]
    if not (tokens and frames):
        return np.zeros((tokens, 2), np.int64)
    spread = np.maximum(weights.std(axis=0), np.finfo(np.float32).tiny)
    typical = smoothed((weights - weights.mean(axis=0)) / spread)
    starts = warped(-typical.mean(axis=1))
    return np.stack([starts[:-1], starts[1:]], axis=1)


def smoothed(values: Floats) -> Floats:
    """(..., frames) -> the median over the frames around each; few frames stay as they are."""
    around = MEDIAN_FRAMES // 2
    if values.shape[-1] <= around:
        return values
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(around, around)], mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, MEDIAN_FRAMES, axis=-1)
    medians: Floats = np.partition(windows, around, axis=-1)[..., around]
    return medians


def warped(costs: Floats) -> Ints:
    """(rows, frames) -> (rows,) the first frame of each row on the cheapest path from the first corner to the last.

    A step of the path goes one frame on, one row on, or both.
    """
    rows, frames = costs.shape
    diagonals = np.full((rows, rows + frames - 1), np.inf)
    for row, each in enumerate(costs):
        diagonals[row, row : row + frames] = each
    moves = np.zeros((rows + frames - 1, rows), np.int8)
    before, last = np.full(rows + 1, np.inf), np.full(rows + 1, np.inf)  # of the two diagonals before, behind a pad
    last[1] = costs[0, 0]
    for diagonal in range(1, rows + frames - 1):
        ways = np.stack([last[1:], last[:-1], before[:-1]])  # from the frame, the row, and both before
        moves[diagonal] = ways.argmin(axis=0)
        before, last = last, np.concatenate([[np.inf], ways.min(axis=0) + diagonals[:, diagonal]])
    return _entered(moves, rows, frames)


def _entered(moves: Ints, rows: int, frames: int) -> Ints:
    starts, row, frame = np.zeros(rows, np.int64), rows - 1, frames - 1
    while row:
        move = moves[row + frame, row]
        if move:
            starts[row] = frame
            row -= 1
        frame -= move != 1
    return starts
