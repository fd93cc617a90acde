"""What a CTC head's scores say: the best path, and the probability of any prefix. In numpy, for torch and ONNX alike.

Frames are scores of (batch, frames, vocab); it does not know the attention, audio or text.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contract.errors import BackboneError
from ..text.vocabulary import BOS, EOS, PAD, UNK

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
LogProbs = npt.NDArray[np.float32]

# Stands for "impossible" inside running sums, where infinities would turn into NaN; exp(-1000) is exactly 0.
LOG_FLOOR = -1000.0


def best_paths(
    ctc_log_probs: LogProbs, lengths: Ints, blank: int = PAD, forbidden: Sequence[int] = (BOS, UNK, EOS)
) -> list[Ints]:
    """The collapsed best CTC path of each utterance: (batch, frames, vocab) and (batch,) -> (tokens,) each."""
    scores = ctc_log_probs.copy()
    scores[..., [token for token in forbidden if token != blank]] = -np.inf
    path = scores.argmax(axis=2)
    path[np.arange(path.shape[1]) >= lengths[:, None]] = blank
    new = (path != blank) & (path != np.pad(path, ((0, 0), (1, 0)), constant_values=blank)[:, :-1])
    return [row[starts] for row, starts in zip(path, new, strict=True)]


class CtcPrefixes:
    """CTC prefix probabilities (Graves 2008) of growing prefixes, arrays of (utterances, width, ...).

    For a prefix g, `labelled[t]` and `blanked[t]` are the log-probabilities that the first t frames say exactly g and
    end in a label or in a blank. Both recurrences over t are linear, so they are running sums, and the probability
    of every one-symbol extension is one matrix product: no Python loop over frames or symbols.
    """

    def __init__(self, log_probs: LogProbs, lengths: Ints, *, eos: int = EOS, blank: int = PAD) -> None:
        batch, frames, vocab = log_probs.shape
        steps = np.maximum(log_probs, LOG_FLOOR).astype(np.float64)
        # Padding is blank for sure: it changes no probability, and every utterance ends in the last frame.
        steps[np.arange(frames) >= lengths[:, None]] = np.where(np.arange(vocab) == blank, 0.0, LOG_FLOOR)
        check_numbers(steps)
        steps = steps.transpose(0, 2, 1)
        self._emissions = np.exp(steps)  # (utterances, vocab, frames)
        self._emissions[:, blank] = 0
        self._sums = np.zeros((batch, vocab, frames + 1))  # of the log-probabilities of the frames before
        np.cumsum(steps, axis=2, out=self._sums[:, :, 1:])
        self._eos, self._blank = eos, blank
        self._last = np.full((batch, 1), -1)
        self._labelled = np.full((batch, 1, frames + 1), -np.inf)
        self._blanked = self._sums[:, None, blank].copy()

    def extensions(self) -> Floats:
        """(utterances, width, vocab): log-probability that speech starts with the prefix and a symbol.

        At the end symbol: that speech is the prefix. What is 1e-300 times less likely than the prefix is impossible.
        """
        either = np.logaddexp(self._labelled, self._blanked)
        peak = np.maximum(either.max(axis=2, keepdims=True), np.finfo(np.float64).min)
        mass = np.exp(either[..., :-1] - peak) @ self._emissions.swapaxes(1, 2)
        # The same symbol again needs a blank between.
        utterances, rows = np.nonzero(self._last >= 0)
        last = self._last[utterances, rows]
        separated = np.exp(self._blanked[utterances, rows, :-1] - peak[utterances, rows])
        mass[utterances, rows, last] = (separated * self._emissions[utterances, last]).sum(axis=1)
        with np.errstate(divide="ignore"):
            scores: Floats = np.log(mass) + peak
        scores[..., self._eos] = either[..., -1]
        return scores

    def extend(self, utterances: Ints, parents: Ints, tokens: Ints) -> None:
        """Keeps the chosen utterances; row w of one becomes what row `parents[w]` was, grown by `tokens[w]`."""
        if len(utterances) < len(self._sums):
            self._emissions, self._sums = self._emissions[utterances], self._sums[utterances]
        at = (utterances[:, None], parents)
        labelled, blanked = self._labelled[at], self._blanked[at]
        again = tokens == self._last[at]
        before = np.where(again[..., None], blanked, np.logaddexp(labelled, blanked))
        self._labelled = _running(before, self._sums[np.arange(len(utterances))[:, None], tokens])
        self._blanked = _running(self._labelled, self._sums[:, None, self._blank])
        self._last = tokens


def check_numbers(scores: npt.NDArray[Any]) -> None:
    """Raises BackboneError for scores that are NaN."""
    if np.isnan(scores).any():
        raise BackboneError(
            "The model's scores are not numbers, so its weights are damaged: fetch the backbone or train again."
        )


def _running(before: Floats, sums: Floats) -> Floats:
    # r[t] = (r[t - 1] + before[t - 1]) * p[t], in logarithms, given the running sums of log p.
    result = np.full(before.shape, -np.inf)
    result[..., 1:] = sums[..., 1:] + np.logaddexp.accumulate(before[..., :-1] - sums[..., :-1], axis=2)
    return result
