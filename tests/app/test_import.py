"""`lect import` of long recordings and zips: what a preview says, which tiers are taken, and who speaks in them."""

import zipfile
from pathlib import Path

import pytest

from lect.engine.audio.writing import write_wav
from lect.engine.data.store import Project
from tests.app.conftest import Lect
from tests.engine.data.test_annotations import aligned, eaf, referring, tier
from tests.engine.data.test_store import speech


@pytest.fixture
def interview(tmp_path: Path) -> Path:
    """A folder with an hour's shape in 12 s: two speakers' tiers, and a translation of one."""
    folder = tmp_path / "interview"
    folder.mkdir()
    write_wav(folder / "talk.wav", speech(1, 12.0))
    tiers = tier("A", aligned("a1", 1, 2, "uno dos") + aligned("a2", 3, 4, "tres"), "utt", "Ana")
    tiers += tier("B", aligned("b1", 2, 3, "cuatro"), "utt", "Bea")
    tiers += tier("A-en", referring("t1", "a1", "one two"), "translation", parent="A")
    tiers += tier("notes", aligned("n1", 1, 4, "recorded in the kitchen"), "note")
    (folder / "talk.eaf").write_bytes(eaf([500, 2500, 4500, 6000], tiers))
    return folder


@pytest.fixture
def place(lect: Lect, tmp_path: Path) -> Path:
    lect("init", tmp_path / "p")
    return tmp_path / "p"


def test_a_preview_shows_tiers_and_counts_before_anything_is_written(lect: Lect, place: Path, interview: Path) -> None:
    open_question = lect("import", interview, "--project", place, "--dry-run")
    assert open_question.failed_with("several tiers", "--tier", "“A” (type utt, by Ana) with 2", "“notes”", code=2)
    shown = lect("import", interview, "--project", place, "--tier", "utt", "--dry-run")
    assert "tier “A” (type utt, by Ana): 2 annotations" in shown.out and "tier “notes” (type note)" in shown.out
    assert shown.out.count("left out") == 2 and "3 clips would be taken, 5.5 s" in shown.out
    assert "label of talk.wav#t=0.5,2.5: “uno dos”" in shown.out
    counted = lect("import", interview, "--project", place, "--tier", "utt", "--dry-run", "--json")
    assert [(each["name"], each["annotations"], each["seconds"], each["chosen"]) for each in counted.json["tiers"]] == [
        ("A", 2, 3.5, True),
        ("B", 1, 2.0, True),
        ("A-en", 1, 2.0, False),
        ("notes", 1, 5.5, False),
    ]
    assert Project.open(place).clips() == []


def test_tiers_are_taken_with_their_speakers(lect: Lect, place: Path, interview: Path) -> None:
    taken = lect("import", interview, "--project", place, "--tier", "Ana", "--tier", "b", "--split", "test", "--json")
    assert taken.code == 0 and taken.json["taken"] == 3  # not Ana's translation
    again = lect("import", interview, "--project", place, "--tier", "utt", "--json")
    assert again.json["taken"] == 0 and len(again.json["duplicates"]) == 3
    clips = Project.open(place).clips()
    assert {(clip.text, clip.speaker, clip.split) for clip in clips} >= {
        ("uno dos", "Ana", "test"),
        ("cuatro", "Bea", "test"),
    }


def test_a_zip_with_one_annotated_recording(lect: Lect, place: Path, interview: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for each in interview.iterdir():
            archive.write(each, f"inside/{each.name}")
    taken = lect("import", tmp_path / "set.zip", "--project", place, "--tier", "A", "--json")
    assert taken.code == 0 and taken.json["taken"] == 2
    assert not list((place / "cache").iterdir())
