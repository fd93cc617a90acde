"""What the command line shows of a training, phase by phase, from real events."""

import argparse
from dataclasses import asdict

import pytest

from lect.app.training_watch import SHOWN_TEXTS, Display
from lect.engine.contract.errors import TrainError
from lect.engine.contract.events import (
    BaseScored,
    Done,
    Ended,
    Evaluated,
    Failed,
    FeaturesReady,
    LanguageModelChosen,
    Scored,
    Scoring,
    ShownText,
    Started,
    Stepped,
    event_of,
)
from lect.engine.contract.train_settings import TrainSettings

START = Started(
    settings=asdict(TrainSettings()),
    device="CPU",
    precision="float32",
    steps=20,
    train_clips=10,
    train_seconds=12.4,
    dev_clips=4,
    trained_parameters=1234,
    constant_below_layer=None,
)
TEXTS = tuple(ShownText(f"text {number}", f"label {number}") for number in range(SHOWN_TEXTS + 1))
EVALUATION = Evaluated(
    step=10, best_step=10, best_cer=0.25, worse_evaluations=0, seconds=3.0, dev_cer=0.25, texts=TEXTS
)


def step(number: int) -> Stepped:
    return Stepped(number, loss=1.5, ctc_loss=2.0, attention_loss=1.0, seconds=0.1, seconds_left=2.0)


def end(stopped: bool) -> Ended:
    return Ended(20, best_step=10, best_cer=0.25, worse_evaluations=2, seconds=61.0, frozen_sha256="0", stopped=stopped)


@pytest.fixture
def display() -> Display:
    return Display(argparse.Namespace(json=False, quiet=False))


def test_what_begins_is_described(display: Display, capsys: pytest.CaptureFixture[str]) -> None:
    display.show(START)
    display.show(BaseScored(0.9))
    assert capsys.readouterr().err.splitlines() == [
        "prompt on 10 clips (12 s), 1,234 trainable parameters, on CPU in float32.",
        "Before any training: CER 90.0 % on dev.",
    ]


def test_each_phase_has_a_bar_of_its_own(display: Display) -> None:
    display.show(START)
    display.show(FeaturesReady(1, 10))
    display.show(FeaturesReady(3, 10))
    features = display.bar
    assert (display.phase, features.n, features.total) == ("the frozen part", 3, 10)
    display.show(step(1))
    assert display.bar is not features
    assert (display.phase, display.bar.n, display.bar.total) == ("training", 1, START.steps)
    display.show(end(stopped=False))
    assert display.bar is None


def test_a_training_that_goes_on_begins_where_it_stood(display: Display) -> None:
    display.show(START)
    display.show(step(8))
    assert (display.bar.initial, display.bar.n) == (7, 8)


def test_an_evaluation_shows_texts_and_the_best_rate_stays(
    display: Display, capsys: pytest.CaptureFixture[str]
) -> None:
    display.show(START)
    display.show(step(1))
    assert "dev CER" not in display.bar.postfix
    display.show(EVALUATION)
    display.show(step(11))
    assert "best dev CER 25.0 %" in display.bar.postfix
    shown = capsys.readouterr().err
    assert "step 10: CER 25.0 % on dev" in shown
    assert "label 1\n  → text 1" in shown and TEXTS[-1].text not in shown


@pytest.mark.parametrize(("stopped", "words"), [(False, "Training ended after"), (True, "Training ended early after")])
def test_the_end_says_whether_it_came_early(
    display: Display, capsys: pytest.CaptureFixture[str], stopped: bool, words: str
) -> None:
    display.show(end(stopped))
    assert capsys.readouterr().err == f"{words} 20 steps, 1 min 01 s; best at step 10.\n"


def test_what_follows_a_training(display: Display, capsys: pytest.CaptureFixture[str]) -> None:
    for event in (LanguageModelChosen(0.3), Scoring("dev"), Scored({"cer": 0.1}, "CER 10 %"), Done("001")):
        display.show(event)
    assert capsys.readouterr().err.splitlines() == [
        "Shallow fusion with an n-gram language model of the texts, weight 0.3.",
        "Scoring dev, base and adapted.",
    ]


def test_a_failure_is_raised(display: Display) -> None:
    with pytest.raises(TrainError, match="Lower the --learning-rate"):
        display.show(Failed("Lower the --learning-rate."))


def test_quiet_shows_nothing_and_events_are_as_their_lines_give_them(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(argparse.Namespace(json=False, quiet=True))
    for event in (START, BaseScored(0.9), FeaturesReady(1, 2), step(1), EVALUATION, end(True), Scoring("test")):
        display.show(event_of(event.to_line()))
    assert capsys.readouterr() == ("", "")
