"""What a review finds in a project's clips."""

from pathlib import Path

import numpy as np
import pytest

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.data.clips import Clip
from lect.engine.data.review import ENOUGH_MINUTES, LABEL_LETTERS, review, total_seconds
from lect.engine.data.store import Project
from tests.engine.data.test_store import keep


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "p", "p", "xx")


def click(project: Project, text: str) -> Clip:
    """A clip too short to be of use."""
    return project.keep((text.encode(), "wav"), np.ones(SAMPLE_RATE // 20, np.float32) / 10, text).clip


def test_an_empty_project_has_nothing_to_find(project: Project) -> None:
    found = review(project)
    assert found.clips == found.problems == found.misfits == found.leaks == found.inventory == [] and found.doubts == {}
    assert found.clips_to_enough == 0 and found.dominant_speaker == "" and found.splits == {}


def test_clips_are_counted_by_split_speaker_and_verdict(project: Project) -> None:
    keep(project, 1, split="dev", speaker="anna")
    keep(project, 2, split="train")
    keep(project, 3)
    project.edit([keep(project, 4).id], excluded=True)
    found = review(project)
    assert (len(found.clips), found.excluded) == (3, 1)
    assert [(name, len(part)) for name, part in found.splits.items()] == [("train", 1), ("dev", 1), ("", 1)]
    assert {name: len(part) for name, part in found.speakers.items()} == {"": 2, "anna": 1}
    assert found.verdicts == {"good": 3} == found.frequent_verdicts


def test_what_cannot_be_used_is_a_problem(project: Project) -> None:
    short, empty = click(project, "a"), keep(project, 1, "?!")
    keep(project, 2, "ba da", split="train")
    foreign = keep(project, 3, "ŋa " * LABEL_LETTERS, split="test")
    problems = {problem.clip: problem for problem in review(project).problems}
    assert set(problems) == {short.id, empty.id, foreign.id}
    assert "too short" in problems[short.id].why and "text rules" in problems[empty.id].why
    assert problems[foreign.id].why == "No training clip has ŋ, which this test label has."
    assert len(problems[foreign.id].label) == LABEL_LETTERS and problems[foreign.id].label.endswith("…")


def test_how_many_clips_make_a_good_start(project: Project) -> None:
    for seed in range(3):
        keep(project, seed)
    click(project, "a")
    found = review(project)
    assert total_seconds(found.usable) == 3.0 and found.clips_to_enough == 60 * ENOUGH_MINUTES - 3


def test_a_speaker_with_most_of_the_clips(project: Project) -> None:
    for seed in range(4):
        keep(project, seed, speaker="anna" if seed else "bela")
    assert review(project).dominant_speaker == "anna"
    keep(project, 5, speaker="bela")
    assert review(project).dominant_speaker == ""


def test_labels_that_do_not_suit_their_recordings(project: Project) -> None:
    for seed in range(4):
        keep(project, seed, "ba da go mi")
    long = keep(project, 4, "ba da go mi " * 4)
    assert review(project).misfits == [long.id]
