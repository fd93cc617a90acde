"""95 % intervals by the bootstrap: speakers are drawn where there are enough, else utterances. It knows sums alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

DRAWS = 1000
INTERVAL = (0.025, 0.975)  # quantiles of the draws: 95 %
# With fewer speakers, drawing speakers says more about luck than about the system; utterances are drawn instead.
MIN_SPEAKERS = 5

Interval = tuple[float, float]
Floats = npt.NDArray[np.float64]


def rates(errors: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> Floats:
    """Errors over lengths, sum by sum."""
    # An empty reference: right when the hypothesis is empty too, else all wrong. (jiwer would answer with a count.)
    rates: Floats = np.where(lengths > 0, errors / np.maximum(lengths, 1), np.minimum(errors, 1.0))
    return rates


def draws(speakers: Sequence[str], totals: Floats, seed: int) -> tuple[str, Floats | None]:
    """What was drawn, and (DRAWS, columns): the sums of each draw; none where all draws are the same.

    speakers: of each utterance, "" where unknown; totals: (utterances, columns).
    """
    names, voices = np.unique(speakers, return_inverse=True)
    resampled = "utterances"
    if len(names) >= MIN_SPEAKERS and "" not in names:
        resampled, by_speaker = "speakers", np.zeros((len(names), totals.shape[1]))
        np.add.at(by_speaker, voices, totals)
        totals = by_speaker
    if len(totals) < 2:
        return resampled, None
    random, units = np.random.default_rng(seed), len(totals)
    # By parts: all draws of a large set at once would take gigabytes.
    parts = [totals[random.integers(units, size=(DRAWS // 20, units))].sum(axis=1) for _ in range(20)]
    return resampled, np.concatenate(parts)


def interval(values: Floats) -> Interval:
    """The quantiles of INTERVAL."""
    low, high = np.quantile(values, INTERVAL)
    return float(low), float(high)
