"""The projects that the page knows: all listed and told apart, renamed, deleted to a trash and brought back."""

from pathlib import Path

import gradio as gr
import pytest

from lect.app.page import drafts, first, projects, recent
from lect.app.page.clip_detail import of_clip
from lect.app.page.clips import keep_draft
from lect.app.page.events import Pick
from lect.app.page.texts import words_in
from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import write_json
from lect.engine.data.importers import import_into
from lect.engine.data.store import Project
from tests.app.conftest import write_set

SAY = words_in("en")
REQUEST = gr.Request(headers={"accept-language": "en"})


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LECT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def made(name: str) -> Project:
    return Project.create(recent.new_folder(name), name, "x-test")


def picked(kind: str, folder: Path, value: str = "") -> Pick:
    pick = Pick(f"{kind}:{recent.key(folder)}")
    pick.value = value
    return pick


def test_all_are_listed_the_last_used_first_and_search_narrows(home: Path) -> None:
    several = [made(f"Voice {number}") for number in range(30)]
    recent.remember(several[7])
    assert recent.recent()[0] == several[7].folder and len(recent.recent()) == 30
    everything = projects.listed("", "", SAY)
    assert all(f"Voice {number}<" in everything for number in range(30)) and "kB" in everything
    assert (
        projects.listed("voice 12", "", SAY).count("data-pick='open:")
        + projects.listed("voice 12", "", SAY).count('data-pick="open:')
        == 1
    )


def test_what_an_older_version_remembered_is_known(home: Path, tmp_path: Path) -> None:
    elsewhere = Project.create(tmp_path / "else where", "Elsewhere", "x-test")
    write_json(home / "recent.json", [str(elsewhere.folder), str(tmp_path / "gone")])
    assert recent.recent() == [elsewhere.folder]
    assert recent.by_key(recent.key(elsewhere.folder))


def test_deleted_to_the_trash_and_brought_back(home: Path) -> None:
    one, other = made("One"), made("Other")
    opened, said = projects.act(picked("delete", one.folder), str(other.folder), SAY)
    assert opened == str(other.folder) and "“One” is in the trash" in said and not one.folder.exists()
    assert recent.recent() == [other.folder] and len(recent.trash()) == 1
    again = Project.create(one.folder, "In its place", "x-test")
    projects.act(picked("restore", recent.trash()[0]), "", SAY)
    assert {facts.name for folder in recent.recent() if (facts := recent.facts_of(folder))} == {
        "One",
        "Other",
        "In its place",
    }
    assert again.name == "In its place" and not recent.trash()
    with pytest.raises(UsageError, match="no longer in the trash"):
        projects.act(Pick("restore:nothing"), "", SAY)


def test_a_project_in_which_a_training_waits_stays(home: Path) -> None:
    one = made("One")
    one.update_run(one.add_run({"method": "prompt"}), status="queued")
    with pytest.raises(UsageError, match="stop it first"):
        projects.act(picked("delete", one.folder), "", SAY)


def test_two_of_one_name_are_told_apart(home: Path) -> None:
    folders = [first.teach(Pick("teach"), "sw", "", REQUEST) for _ in range(2)]
    assert [Project.open(Path(folder)).name for folder in folders] == ["Swahili", "Swahili 2"]
    projects.act(picked("rename", Path(folders[1]), "Swahili"), "", SAY)
    assert all(folder in projects.listed("", "", SAY) for folder in folders)


def test_a_second_click_makes_no_second_project(home: Path) -> None:
    folder = first.teach(Pick("teach"), "sw", "", REQUEST)
    assert first.teach(Pick("teach"), "sw", folder, REQUEST) == folder
    assert len(recent.recent()) == 1


def test_a_label_that_was_typed_is_there_until_it_is_saved_or_taken_back(home: Path, tmp_path: Path) -> None:
    project = made("One")
    import_into(project, write_set(tmp_path / "set"))
    before, other = project.clips()[:2]
    folder, typed = str(project.folder), ["ba gó", "Ana", "train", True]
    keep_draft(folder, before.id, *typed)
    _, _, *fields, chosen = of_clip(project, before.id, SAY)
    assert fields == typed and chosen == before.id and "not saved yet" in of_clip(project, before.id, SAY)[0]
    assert of_clip(project, other.id, SAY)[2] == other.text
    assert project.clips()[0] == before
    keep_draft(folder, before.id, before.text, before.speaker, before.split, True)
    assert not drafts.named(project, "clip:") and of_clip(project, before.id, SAY)[2] == before.text


def test_damaged_drafts_are_none(home: Path) -> None:
    project = made("One")
    (project.folder / drafts.FILE).write_text("{")
    assert drafts.read(project, "speaker") is None
    drafts.put(project, "speaker", "Ana")
    assert drafts.read(project, "speaker") == "Ana"
