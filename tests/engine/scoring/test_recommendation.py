"""When an adaptation is recommended."""

import pytest

from lect.engine.scoring.recommendation import helps


@pytest.mark.parametrize(("before", "after", "worth"), [(0.3, 0.2, True), (0.2, 0.2, False), (0.03, 0.08, False)])
def test_it_must_beat_its_bare_backbone_on_dev(before: float, after: float, worth: bool) -> None:
    dev = {"cer": after, "baseline": {"cer": before}}
    assert helps({"dev": dev, "test": {"cer": 1.0, "baseline": {"cer": 0.0}}}) is worth


def test_what_was_never_compared_is_not_condemned() -> None:
    assert helps({}) and helps({"dev": {"cer": 1.0}}) and helps({"dev": {"cer": 1.0, "baseline": None}})
