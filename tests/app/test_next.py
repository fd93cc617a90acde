"""`lect next`: what to record or to label next."""

from pathlib import Path

from lect.app.page import sentences
from lect.engine.audio.writing import write_wav
from lect.engine.data.store import Project
from tests.app.conftest import Lect, speech


def test_sentences_are_chosen_from_a_text_and_put_on_the_list(lect: Lect, tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p", "p", "x-test")
    project.keep((b"RIFF", ".wav"), speech("ba da"), "Ba da.")
    text = tmp_path / "book.txt"
    text.write_text("Ba da.\nBa da ba.\nŊu mi!\nBa.\n", encoding="utf-8")
    found = lect("next", text, "--project", project.folder, "--count", "2", "--add", "--json")
    assert found.code == 0 and found.json["sentences"][0]["sentence"] == "Ŋu mi!"
    assert found.json["sentences"][0]["brings"][0]["recorded"] == 0
    assert [one.text for one in sentences.read(project)] == [one["sentence"] for one in found.json["sentences"]]
    said = lect("next", "--project", project.folder)
    assert said.code == 0 and "(never recorded)" in said.out


def test_the_least_sure_stretches_come_from_all_recordings(lect: Lect, pack: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_wav(tmp_path / "sound" / f"{name}.wav", speech("ba da go su mi la", 3))
    call = ("next", tmp_path / "sound", "--pack", pack, "--vad", "off", "--count", "2", "--json")
    found = lect(*call)
    assert found.code == 0
    assert sorted(Path(each["recording"]).name for each in found.json["stretches"]) == ["a.wav", "b.wav"]


def test_what_cannot_be_chosen_from_is_said(lect: Lect, tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p", "p", "x-test")
    nothing = lect("next", "--project", project.folder)
    assert nothing.code == 2 and "There is no sentence to choose from" in nothing.err
    mixed = lect("next", tmp_path / "a.txt", tmp_path / "b.wav", "--project", project.folder)
    assert mixed.code == 2 and "not both" in mixed.err
    gone = lect("next", tmp_path / "gone.txt", "--project", project.folder)
    assert gone.code == 1 and "gone.txt" in gone.err and "Traceback" not in gone.err
