"""The rule by which an adaptation is recommended, or what does as well without it."""

import math
from collections.abc import Mapping
from typing import Any, Literal

Rival = Literal["", "guesser", "backbone"]


def rival(scores: Mapping[str, Any]) -> Rival:
    """What makes no more wrong characters on dev, searched alike, and so is to be used in place of an adaptation: its
    bare backbone, or the run whose guesses it learnt from (`runs.scored`), whichever is better; "" where neither is.

    scores: JSON of `Scores` by split, as runs and packs keep it. What was never compared is given the benefit of the
    doubt.
    """
    dev = scores.get("dev") or {}
    bare, guesser = dev.get("baseline"), dev.get("guesser")
    before = guesser["before"] if guesser and guesser["after"] >= guesser["before"] else math.inf
    if bare and bare["cer"] <= min(dev["cer"], before):
        return "backbone"
    return "guesser" if math.isfinite(before) else ""
