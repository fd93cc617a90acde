"""A preview tells what an import then does, and a request decides what of a set is taken."""

from dataclasses import replace
from pathlib import Path

import pytest

from lect.engine.data.import_plan import ImportRequest, import_set, preview, shown_labels
from lect.engine.data.importers import Progress
from lect.engine.data.store import Project
from tests.engine.data.test_importers import sounds, table, texts


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "p", "p", "xx")


@pytest.fixture
def asked_for(tmp_path: Path) -> ImportRequest:
    """A set of two voices, of which one recording names none; one is no sound."""
    source = sounds(tmp_path / "set", "a.wav", "b.wav", "c.wav")
    (source / "d.wav").write_text("text, not sound")
    rows = [
        ["a.wav", "a", "anna", "test"],
        ["b.wav", "b", "bela", "dev"],
        ["c.wav", "c", "", ""],
        ["d.wav", "d", "", ""],
    ]
    table(source / "metadata.csv", [["file_name", "text", "speaker_id", "split"], *rows])
    return ImportRequest(source)


def test_a_preview_is_what_the_import_does_and_writes_nothing(project: Project, asked_for: ImportRequest) -> None:
    reported: list[Progress] = []
    expected = preview(project, asked_for, reported.append)
    assert project.clips() == [] and project.speakers() == []
    assert reported[-1] == Progress(done=4, total=4, taken=3)
    assert import_set(project, asked_for) == expected
    assert expected.failed and [path.name for path, _ in expected.skipped] == ["d.wav"]
    again = preview(project, asked_for)
    assert again.clips == 0 and len(again.duplicates) == 3


def test_a_preview_shows_labels_from_all_over_the_set(tmp_path: Path, project: Project) -> None:
    source = sounds(tmp_path / "many", *(f"{number:02}.wav" for number in range(9)))
    rows = [[f"{number:02}.wav", f"label {number}" + " and on" * 20 * (number == 8)] for number in range(9)]
    table(source / "metadata.csv", [["file_name", "text"], *rows])
    shown = shown_labels(preview(project, ImportRequest(source)))
    assert [(path.name, label[:7]) for path, label in shown] == [(f"0{n}.wav", f"label {n}") for n in (0, 2, 4, 6, 8)]
    assert len(shown[-1][1]) == 90 and shown[-1][1].endswith("…")


def test_a_speaker_selects_and_completes(project: Project, asked_for: ImportRequest) -> None:
    outcome = import_set(project, replace(asked_for, speaker="anna"))
    assert outcome.clips == 2
    assert [(clip.text, clip.speaker) for clip in project.clips()] == [("a", "anna"), ("c", "anna")]


def test_with_others_a_speaker_only_completes(project: Project, asked_for: ImportRequest) -> None:
    asked = replace(asked_for, speaker="carla", split="train", others=True)
    assert preview(project, asked).clips == 3
    import_set(project, asked)
    assert [(clip.speaker, clip.split) for clip in project.clips()] == [
        ("anna", "test"),
        ("bela", "dev"),
        ("carla", "train"),
    ]


def test_an_import_that_was_cut_off_is_completed_by_the_next(project: Project, asked_for: ImportRequest) -> None:
    import_set(project, asked_for)
    import_set(project, replace(asked_for, speaker="anna"))
    assert {clip.text: clip.speaker for clip in project.clips()} == {"a": "anna", "b": "bela", "c": "anna"}


def test_what_was_deleted_or_has_another_label_would_not_be_taken(project: Project, asked_for: ImportRequest) -> None:
    import_set(project, asked_for)
    first, second, _ = project.clips()
    project.delete([first.id])
    project.relabel(second.id, "other")
    reasons = {path.name: why for path, why in preview(project, asked_for).skipped}
    assert "restore it" in reasons["a.wav"] and "Two labels" in reasons["b.wav"]
    assert texts(project) == ["other", "c"]
