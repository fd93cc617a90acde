"""Where in a recording the tokens of a known text lie: CTC forced alignment, in numpy."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..contract.errors import TextError
from ..text.vocabulary import PAD
from .ctc import LOG_FLOOR, Floats, Ints, LogProbs


def ctc_align(ctc_log_probs: LogProbs, tokens: Sequence[int], blank: int = PAD) -> Ints:
    """The frames of each token: (frames, vocab) and n tokens -> (n, 2), from (inclusive) to (exclusive).

    Viterbi over the CTC lattice of blank, token, blank, ..., token, blank (Graves et al. 2006).
    Errors: TextError when the tokens do not fit into the frames.
    """
    labels = np.asarray(tokens, np.int64)
    frames, needed = len(ctc_log_probs), len(labels) + int((labels[1:] == labels[:-1]).sum())
    if needed > frames:
        raise TextError(f"A label needs at least {needed} frames but its recording has {frames}: check the label.")
    if not len(labels):
        return np.zeros((0, 2), np.int64)
    lattice = np.full(2 * len(labels) + 1, blank)
    lattice[1::2] = labels
    emissions = np.maximum(ctc_log_probs[:, lattice], LOG_FLOOR).astype(np.float64)
    may_skip = (lattice[2:] != blank) & (lattice[2:] != lattice[:-2])
    spoken = _viterbi(emissions, may_skip) == (2 * np.arange(len(labels)) + 1)[:, None]
    return np.stack([spoken.argmax(1), frames - spoken[:, ::-1].argmax(1)], axis=1)


def _viterbi(emissions: Floats, may_skip: npt.NDArray[np.bool_]) -> Ints:
    # (frames, states), (states - 2,) -> the best state of each frame, from one of the first two to one of the last.
    frames, states = emissions.shape
    score = np.full(states + 2, -np.inf)  # two states of padding in front, so that shifts are slices
    score[2:4] = emissions[0, :2]
    skip = np.concatenate([np.full(2, -np.inf), np.where(may_skip, 0.0, -np.inf)])
    back = np.zeros((frames, states), np.int8)
    for frame in range(1, frames):
        moves = np.stack([score[2:], score[1:-1], score[:-2] + skip])
        back[frame] = moves.argmax(axis=0)
        score[2:] = moves.max(axis=0) + emissions[frame]
    path = np.empty(frames, np.int64)
    path[-1] = states - 1 if score[-1] >= score[-2] else states - 2
    for frame in range(frames - 1, 0, -1):
        path[frame - 1] = path[frame] - back[frame, path[frame]]
    return path
