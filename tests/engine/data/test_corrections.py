"""Corrected stretches of a recording become clips, without a leak between splits, and are taken back."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lect.engine.audio.writing import write_flac
from lect.engine.data.corrections import take_corrected
from lect.engine.data.layouts import Item
from lect.engine.data.store import Project
from tests.engine.data.test_store import speech

WORDS = ("ba da", "go mi", "ba mi", "su la go")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "project", "p", "xx")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Four stretches of a second and more."""
    path = tmp_path / "sound.flac"
    write_flac(path, [speech(number) for number in range(40, 44)])
    return path


def items(recording: Path, texts: tuple[str, ...] = WORDS, speaker: str = "ana", shift: float = 0.0) -> list[Item]:
    edges = np.cumsum([0.0, *(len(speech(number)) / 16_000 for number in range(40, 44))])
    return [
        Item(recording, text, speaker, start=float(edges[n]) + shift, end=float(edges[n + 1]))
        for n, text in enumerate(texts)
    ]


def keep(project: Project, **splits: tuple[str, str]) -> None:
    """A clip for each: its text, with underscores for spaces -> (speaker, split)."""
    for number, (text, (speaker, split)) in enumerate(splits.items()):
        project.keep((f"{text}{number}".encode(), "wav"), speech(number), text.replace("_", " "), speaker, split=split)


def splits(project: Project, numbers: object) -> Counter[str]:
    return Counter(clip.split for clip in project.clips() if clip.id in set(numbers))  # type: ignore[call-overload]


def test_a_first_recording_is_split_by_the_training(project: Project, recording: Path) -> None:
    taken = take_corrected(project, items(recording), {})
    assert (taken.split, taken.new, taken.left) == ("", 4, []) and list(taken.clips.values()) == list(WORDS)
    assert {(clip.speaker, clip.split) for clip in project.clips()} == {("ana", "")}


def test_a_voice_goes_where_it_is(project: Project, recording: Path) -> None:
    keep(project, a=("eva", "train"), b=("eli", "dev"), c=("ana", "test"))
    assert take_corrected(project, items(recording), {}).split == "test"
    other = take_corrected(project, items(recording, tuple("aeio"), "new", 0.01), {})
    assert other.split == "train" and splits(project, other.clips) == {"train": 4}


def test_one_recording_is_in_one_split(project: Project, recording: Path) -> None:
    keep(project, a=("eva", "train"), b=("eli", "dev"), c=("ana", "test"))
    mixed = [*items(recording, WORDS[:3]), items(recording, speaker="eva")[3]]
    taken = take_corrected(project, mixed, {})
    assert taken.split == "test" and splits(project, taken.clips) == {"test": 3}
    assert [why for _, why in taken.left] == ["eva is in train, and the others of this recording are in test."]


def test_a_text_that_is_tested_is_not_learnt(project: Project, recording: Path) -> None:
    keep(project, Go_mi=("ana", "test"), b=("ana", "dev"), c=("ana", "train"))
    taken = take_corrected(project, items(recording), {})
    assert taken.split == "train" and [why for _, why in taken.left] == ["The same text is in test."]
    assert sorted(taken.clips.values()) == sorted(set(WORDS) - {"go mi"})


def test_what_is_corrected_again_takes_the_place_of_what_was(project: Project, recording: Path) -> None:
    first = take_corrected(project, items(recording), {})
    numbers = list(first.clips)
    project.relabel(numbers[0], "by hand")
    again = take_corrected(project, items(recording, ("ba da", "go mi", "ba mii")), first.clips)
    labels = {clip.id: clip.text for clip in project.clips()}
    assert (again.new, again.relabelled, again.removed) == (0, 1, 1)
    assert [labels.get(number) for number in numbers] == ["by hand", "go mi", "ba mii", None]
    back = take_corrected(project, items(recording, ("ba da", "go mi", "ba mii", "su la")), again.clips)
    assert (back.new, back.relabelled, back.removed) == (1, 1, 0) and back.left == []
    assert project.clip(numbers[3]).text == "su la"  # type: ignore[union-attr]
    moved = take_corrected(project, items(recording, shift=0.05), back.clips)
    assert (moved.new, moved.removed, len(project.clips())) == (4, 4, 4)
