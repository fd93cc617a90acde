"""The rule by which an adaptation is recommended, or its backbone alone."""

from collections.abc import Mapping
from typing import Any


def helps(scores: Mapping[str, Any]) -> bool:
    """Whether an adaptation is worth using: fewer wrong characters than its bare backbone on dev, searched alike.

    scores: JSON of `Scores` by split. What was never compared is given the benefit of the doubt.
    """
    dev = scores.get("dev") or {}
    baseline = dev.get("baseline")
    return not baseline or bool(dev["cer"] < baseline["cer"])
