"""Two systems on the same utterances: whether one is better by more than chance."""

from dataclasses import dataclass

import numpy as np

from .bootstrap import Interval, draws, interval, rates
from .scores import Scores, paired, speakers, totals

OUTCOMES = {
    "better": "Better by more than chance",
    "worse": "Worse by more than chance",
    "mixed": "Mixed, characters and words disagree by more than chance",
    "unclear": "No clear difference, it may be chance",
}


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same utterances. Differences are after minus before: below 0 is better."""

    utterances: int
    wer: tuple[float, float]  # before, after
    cer: tuple[float, float]
    wer_difference: float
    cer_difference: float
    wer_interval: Interval | None  # of the difference: 95 %, paired bootstrap
    cer_interval: Interval | None
    resampled: str  # "utterances" or "speakers"
    outcome: str  # "better", "worse", "mixed" or "unclear"; by CER, "mixed" where WER clearly disagrees
    verdict: str  # the same in a sentence


def compare(before: Scores, after: Scores, seed: int = 0) -> Comparison:
    """Whether `after` differs from `before` by more than chance: bootstrap of the difference, utterances paired.

    Errors: UsageError unless both scored the same utterances, with the same references, under the same normalisation.
    """
    rows, others = paired(before, after)
    resampled, drawn = draws(speakers(rows), np.hstack([totals(rows), totals(others)]), seed)
    wer_interval = cer_interval = None
    if drawn is not None:
        found = [rates(drawn[:, column], drawn[:, column + 1]) for column in (0, 2, 4, 6)]
        wer_interval, cer_interval = interval(found[2] - found[0]), interval(found[3] - found[1])
    outcome = _outcome(_direction(cer_interval), _direction(wer_interval))
    clauses = (
        _change("CER", before.cer, after.cer, cer_interval),
        _change("WER", before.wer, after.wer, wer_interval),
    )
    return Comparison(
        utterances=len(rows),
        wer=(before.wer, after.wer),
        cer=(before.cer, after.cer),
        wer_difference=after.wer - before.wer,
        cer_difference=after.cer - before.cer,
        wer_interval=wer_interval,
        cer_interval=cer_interval,
        resampled=resampled,
        outcome=outcome,
        verdict=f"{OUTCOMES[outcome]}: {'; '.join(clauses)}; {len(rows)} utterances.",
    )


def _direction(interval: Interval | None) -> int:
    return 0 if interval is None else int(interval[0] > 0) - int(interval[1] < 0)


def _outcome(cer: int, wer: int) -> str:
    return "mixed" if cer * wer < 0 else {-1: "better", 0: "unclear", 1: "worse"}[cer]


def _change(name: str, before: float, after: float, interval: Interval | None) -> str:
    shown = f"{name} {before:.1%} before, {after:.1%} after, {100 * (after - before):+.1f} points"
    if interval is None:
        return f"{shown} (too little for an interval)"
    return f"{shown} (95% interval {100 * interval[0]:+.1f} to {100 * interval[1]:+.1f})"
