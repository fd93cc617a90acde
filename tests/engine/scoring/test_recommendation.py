"""When an adaptation is recommended."""

import pytest

from lect.engine.scoring.recommendation import rival


@pytest.mark.parametrize(("before", "after", "worth"), [(0.3, 0.2, True), (0.2, 0.2, False), (0.03, 0.08, False)])
def test_it_must_beat_its_bare_backbone_on_dev(before: float, after: float, worth: bool) -> None:
    dev = {"cer": after, "baseline": {"cer": before}}
    assert rival({"dev": dev, "test": {"cer": 1.0, "baseline": {"cer": 0.0}}}) == ("" if worth else "backbone")


def test_what_was_never_compared_is_not_condemned() -> None:
    assert all(rival(each) == "" for each in ({}, {"dev": {"cer": 1.0}}, {"dev": {"cer": 1.0, "baseline": None}}))


def test_what_was_guessed_must_bring_something_on_dev() -> None:
    for after, expected in ((0.2, ""), (0.3, "guesser"), (0.4, "guesser")):
        dev = {"cer": after, "baseline": {"cer": 0.9}, "guesser": {"run": "001", "before": 0.3, "after": after}}
        assert rival({"dev": dev}) == expected
    assert rival({"dev": dev | {"baseline": {"cer": 0.1}}}) == "backbone"
    assert rival({"dev": dev | {"baseline": {"cer": 0.35}}}) == "guesser", "the better of the two"
