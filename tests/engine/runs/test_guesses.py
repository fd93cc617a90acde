"""What a run guesses in recordings that nobody has written down, and how another one learns from it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lect.engine.audio.reading import load_audio
from lect.engine.contract.adaptation_spec import AdaptationSpec
from lect.engine.contract.errors import UsageError
from lect.engine.contract.events import Done, Started
from lect.engine.contract.files import read_json
from lect.engine.contract.run_files import RunFiles
from lect.engine.contract.run_request import RunRequest
from lect.engine.contract.train_settings import TrainSettings
from lect.engine.data.clips import Community, Speaker
from lect.engine.data.store import Project
from lect.engine.model.backbone import Backbone
from lect.engine.model.device import choose_device
from lect.engine.runs.execution import run_training
from lect.engine.runs.guesses import Guess, guess, guessed_examples, keep_guesses, surest
from lect.engine.runs.preparation import RunData, create_run
from lect.engine.runs.results import decoding, load_run
from lect.engine.runs.scored import keep_scores
from lect.engine.text.vocabulary_building import build_vocabulary
from tests.engine.data.test_store import speech

SETTINGS = TrainSettings(AdaptationSpec(num_virtual_tokens=2), max_steps=2, copies=1, evaluations=1)


def sound(text: str, confidence: float = 0.9, difference: float = 0.0) -> Guess:
    """A guess at a second of nothing."""
    return Guess(np.zeros(16_000, np.float32), text, confidence, difference)


def test_the_surer_half_of_what_two_decodings_agree_about_is_kept() -> None:
    guesses = [sound("a", 0.5), sound("b", 0.9), sound("c", 0.99, 0.2), sound("", 1.0), sound("d", 0.7, 0.1)]
    assert [each.text for each in surest(guesses)] == ["b", "d"]
    with pytest.raises(UsageError, match="sure enough to learn from"):
        surest([sound("", 1.0)])


def test_a_run_learns_from_another_ones_guesses(project: Project, tiny_backbone: Backbone) -> None:
    request = RunRequest(str(tiny_backbone.folder), "cpu", "float32", SETTINGS, language_model_weight=0)
    teacher = create_run(project, request)
    list(run_training(project, teacher))
    recogniser = load_run(project, teacher).recogniser(decoding(project.run(teacher).folder), choose_device("cpu"))
    pieces = [speech(seed) for seed in (20, 21)]
    guesses = guess(recogniser, pieces)
    assert [each.text for each in guesses] == recogniser.texts(pieces)
    assert all(0 <= each.confidence <= 1 and each.seconds == len(each.samples) / 16_000 for each in guesses)

    student = create_run(
        project, replace(request, guessed_by=teacher), [replace(guesses[0], text="ba da", difference=0.0)]
    )
    run, files = RunData.open(project, student), RunFiles(project.run(student).folder)
    *labelled, guessed = run.examples("train")
    assert len(labelled) == len(run.clips["train"]) == len(run.texts("train")), "no language model counts a guess"
    assert run.vocabulary.decode(guessed.tokens) == "ba da"
    assert np.abs(load_audio(guessed.path) - pieces[0]).max() < 1e-3
    known = arrays(project)
    events = list(run_training(project, student))
    assert isinstance(events[-1], Done)
    started = next(event for event in events if isinstance(event, Started))
    assert started.train_clips == len(labelled) + 1

    assert not files.guessed.exists() and arrays(project) == known, "nothing of the sound is left"
    taken = files.taken()
    assert taken is not None and (taken.pieces, taken.learnt, taken.learnt_seconds) == (1, 1, guesses[0].seconds)
    dev, before = read_json(files.scores("dev")), read_json(RunFiles(project.run(teacher).folder).scores("dev"))
    assert dev["guesser"] == {"run": teacher, "before": before["cer"], "after": dev["cer"], "clips": 2}
    with pytest.raises(UsageError, match="cannot go on"):
        next(run_training(project, student))


def arrays(project: Project) -> set[str]:
    """What is in the feature cache."""
    return {path.name for path in (project.folder / "cache").glob("*/*.npy")}


def test_the_guesser_is_compared_on_the_clips_that_both_wrote(project: Project, tiny_backbone: Backbone) -> None:
    request = RunRequest(str(tiny_backbone.folder), "cpu", "float32", SETTINGS, language_model_weight=0)
    teacher = create_run(project, request)
    list(run_training(project, teacher))
    first, second = project.clips("dev")
    project.relabel(first.id, "la la")
    student = create_run(project, replace(request, guessed_by=teacher), [sound("ba")])
    run, options = RunData.open(project, student), decoding(project.run(student).folder)
    keep_scores(run, student, "dev", ["", ""], ["", second.text], options)
    guesser = read_json(RunFiles(project.run(student).folder).scores("dev"))["guesser"]
    assert (guesser["clips"], guesser["after"]) == (1, 0.0) and guesser["before"] > 0
    project.relabel(second.id, "go go")
    run = RunData.open(project, student)
    keep_scores(run, student, "dev", ["", ""], ["", ""], options)
    assert "guesser" not in read_json(RunFiles(project.run(student).folder).scores("dev"))


def test_a_community_that_asks_each_speaker_is_asked_of_the_nameless_too(
    project: Project, tiny_backbone: Backbone
) -> None:
    request = RunRequest(str(tiny_backbone.folder), "cpu", "float32", SETTINGS, guessed_by="001")
    project.set_speaker([clip.id for clip in project.clips()], "ANA")
    project.save_speakers([Speaker("ANA", uses={"train": "yes"})])
    project.save_community(Community(uses={"train": "ask"}))
    create_run(project, replace(request, guessed_by=""))
    with pytest.raises(UsageError, match="nobody is named"):
        create_run(project, request, [sound("ba")])


def test_a_guess_with_an_unknown_letter_is_left_out(tmp_path: Path) -> None:
    files = RunFiles(tmp_path)
    assert guessed_examples(files, build_vocabulary(["ba"])) == []
    some = [sound("ab"), sound("xyz"), sound("ba")]
    keep_guesses(files, some, some)
    assert [each.path.name for each in guessed_examples(files, build_vocabulary(["ba"]))] == [
        "00001.flac",
        "00003.flac",
    ]
