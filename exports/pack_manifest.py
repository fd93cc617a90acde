"""What a pack says of itself, each value of the type that its readers count on: a stranger may have written it.

It does not know files.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lect.engine.contract.errors import PackError
from lect.engine.text.writable import is_writable

MOST_LETTERS = 1_000  # of a name, a language, or the like
RATES = ("cer", "wer")
NUMBERS = (int, float)  # and not bool, which is an int to Python


@dataclass(frozen=True)
class Manifest:
    """A pack's own description."""

    format_version: int
    name: str
    language: str
    backbone: str  # name
    backbone_sha256: str  # of the weights that it was trained on, and fits
    method: dict[str, Any]
    normalisation: str  # the text rules' name
    tensors: dict[str, Any]  # name -> {"shape", "dtype"}
    scores: dict[str, Any]  # split -> rates with their conditions
    created_by: str
    rights: dict[str, Any] = field(default_factory=dict)  # what community and speakers allow, as `consent.rights` says


def manifest_of(value: Mapping[str, Any], pack: str) -> Manifest:
    """The manifest in a JSON object of the file called `pack`. Raises PackError, with what is wrong in it."""
    try:
        manifest = Manifest(**value)
    except TypeError as error:
        raise _refused(pack, f"{error!s:.200}") from error
    for name in ("name", "language", "backbone", "backbone_sha256", "normalisation", "created_by"):
        if not _is_text(value[name]):
            raise _refused(pack, f"its {name} is no text")
    for name in ("method", "tensors", "scores"):
        if not isinstance(value[name], dict) or not all(map(_is_text, value[name])):
            raise _refused(pack, f"its {name} are no table")
    for name, stated in manifest.method.items():
        if not (stated is None or _is_text(stated) or type(stated) in (bool, *NUMBERS)):
            raise _refused(pack, f"its {name} is neither text nor number")
    if type(manifest.method.get("ctc_weight")) not in (type(None), *NUMBERS):
        raise _refused(pack, "its ctc_weight is no number")
    if not isinstance(manifest.rights, dict) or not _is_text(json.dumps(manifest.rights, ensure_ascii=False)):
        raise _refused(pack, "its rights are no table of texts")
    if not all(map(_has_rates, manifest.scores.values())):
        raise _refused(pack, "its scores are no rates")
    return manifest


def _has_rates(scores: Any) -> bool:
    if not isinstance(scores, dict) or not all(type(scores.get(rate)) in NUMBERS for rate in RATES):
        return False
    guesser = scores.get("guesser")
    if guesser and not (isinstance(guesser, dict) and _is_text(guesser.get("run")) and _are_numbers(guesser)):
        return False
    return not scores.get("baseline") or _has_rates(scores["baseline"])


def _are_numbers(guesser: dict[str, Any]) -> bool:
    return all(type(guesser.get(name)) in NUMBERS for name in ("before", "after"))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MOST_LETTERS and is_writable(value)


def _refused(pack: str, reason: str) -> PackError:
    return PackError(f"{pack} has a manifest that cannot be understood ({reason}): get the pack again.")
