"""Scores of slots as SUPERB defines them (s3prl/metric/slot_filling.py), from counts that can be added up and redrawn.

- type F1: of the names in an utterance, whatever their values; the mean over the utterances. Without any, it is 1.
- value CER: of each slot of the reference against the nearest value under its name, or against nothing.
- edit F1: of whole slots, corpus-level. A wrong value counts as missing and as invented; where a name is not in the
  reference, each of its values is invented ("full"), or is not looked at ("part").

Slots of one name and value are not told apart: one in the text answers for all of them in the reference. It knows the
inline form (`slots`) and nothing of models.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from ..text.slots import slots_of

Floats = npt.NDArray[np.float64]
Values = Mapping[str, Sequence[str]]  # by name

RATES = ("type_f1", "value_cer", "edit_f1_full", "edit_f1_part")


def slot_counts(references: Sequence[str], hypotheses: Sequence[str]) -> Floats:
    """(utterances, 8), in the order that `slot_rates` reads."""
    pairs = zip(references, hypotheses, strict=True)
    return np.array([_counts(_values(reference), _values(text)) for reference, text in pairs], np.float64)


def slot_rates(sums: Floats) -> Floats:
    """(..., 8) sums of counts -> (..., 4), RATES; fractions."""
    type_f1, utterances, errors, length, right, missing, wrong, invented = np.moveaxis(sums, -1, 0)
    full = 2 * right / np.maximum(2 * right + missing + wrong + invented, 1)
    part = 2 * right / np.maximum(2 * right + missing + wrong, 1)
    rates: Floats = np.stack([type_f1 / utterances, errors / np.maximum(length, 1), full, part], axis=-1)
    return rates


def _values(text: str) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in slots_of(text):
        values.setdefault(name, []).append(value)
    return values


def _counts(reference: Values, hypothesis: Values) -> tuple[float, ...]:
    wanted = [(name, value) for name, values in reference.items() for value in values]
    errors = sum(_least_errors(value, hypothesis.get(name, [""])) for name, value in wanted)
    right = sum(value in hypothesis.get(name, ()) for name, value in wanted)
    wrong = sum(name in hypothesis and value not in hypothesis[name] for name, value in wanted)
    invented = sum(len(values) for name, values in hypothesis.items() if name not in reference)
    length = sum(len(value) for _, value in wanted)
    return _type_f1(reference, hypothesis), 1, errors, length, right, len(wanted) - right, wrong, invented


def _type_f1(reference: Values, hypothesis: Values) -> float:
    names = len(reference) + len(hypothesis)
    return 2 * len(reference.keys() & hypothesis.keys()) / names if names else 1.0


def _least_errors(value: str, hypothesis: Sequence[str]) -> int:
    return min(Levenshtein.distance(value, each) for each in hypothesis)
