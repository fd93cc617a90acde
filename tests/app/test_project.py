"""A project from its first clip to its splits, as a person makes it."""

import shutil
from pathlib import Path

import pytest

from lect.engine.data.store import Project
from lect.engine.model.backbone import write_sums
from tests.app.conftest import WORDS, Lect, write_set


def test_init_keeps_what_it_is_told(lect: Lect, tmp_path: Path) -> None:
    rules = ("--case", "keep", "--remove", "[laughs]", "--replace", "ck", "k", "--replace", "ph", "f")
    made = lect("init", tmp_path / "a", "--name", "Village", "--language", "quc", *rules, "--json")
    assert made.code == 0 and made.json["name"] == "Village" and made.json["language"] == "quc"
    project = Project.open(tmp_path / "a")
    assert project.rules.case == "keep" and project.rules.remove == ("[laughs]",)
    assert project.rules.replace == (("ck", "k"), ("ph", "f"))


def test_init_does_not_touch_a_project_that_is_there(lect: Lect, project: Path) -> None:
    assert lect("init", project).failed_with("already holds a project")
    assert len(Project.open(project).clips()) == len(WORDS)


def test_import_says_what_it_took_and_what_comes_next(lect: Lect, tmp_path: Path, dataset: Path) -> None:
    lect("init", tmp_path / "p")
    taken = lect("import", dataset, "--project", tmp_path / "p")
    assert taken.code == 0 and "12 clips taken" in taken.out and "lect check" in taken.out
    again = lect("import", dataset, "--project", tmp_path / "p", "--json")
    assert again.code == 0 and again.json["taken"] == 0 and len(again.json["duplicates"]) == len(WORDS)


def test_a_dry_run_says_the_same_and_takes_nothing(lect: Lect, tmp_path: Path, dataset: Path) -> None:
    lect("init", tmp_path / "p")
    (tmp_path / "set").mkdir()
    source = write_set(tmp_path / "set", WORDS[:4])
    (source / "lonely.wav").write_bytes((source / "00.wav").read_bytes())
    (source / "02.wav").write_bytes(b"")
    said = lect("import", source, "--project", tmp_path / "p", "--dry-run", "--json")
    assert Project.open(tmp_path / "p").clips() == []
    done = lect("import", source, "--project", tmp_path / "p", "--json")
    assert said.code == done.code == 1
    for key in ("taken", "seconds", "unusable", "duplicates"):
        assert said.json[key] == done.json[key]
    assert sorted(Path(one["file"]).name for one in said.json["skipped"]) == ["02.wav", "lonely.wav"]
    assert {one["file"]: one["why"] for one in said.json["skipped"]} == {
        one["file"]: one["why"] for one in done.json["skipped"]
    }


def test_speaker_and_split_fill_what_the_set_leaves_open(lect: Lect, tmp_path: Path) -> None:
    source = write_set(tmp_path / "set", WORDS[:3])
    table = (source / "metadata.csv").read_text().replace("voice 0", "")
    (source / "metadata.csv").write_text(table)
    lect("init", tmp_path / "p")
    taken = lect("import", source, "--project", tmp_path / "p", "--speaker", "Ana", "--split", "test", "--json")
    clips = Project.open(tmp_path / "p").clips()
    assert taken.json["taken"] == 2 and {(clip.speaker, clip.split) for clip in clips} == {("Ana", "test")}


def test_check_reports_the_whole_set(lect: Lect, project: Path) -> None:
    report = lect("check", "--project", project, "--json")
    assert report.code == 0
    assert report.json["clips"] == len(WORDS) and report.json["verdicts"] == {"good": len(WORDS)}
    assert set(report.json["splits"]) == {"train", "dev", "test"} and len(report.json["speakers"]) == 2
    assert {one["symbol"] for one in report.json["inventory"]} == set("".join(WORDS)) - {" "}
    text = lect("check", "--project", project).out
    assert "12 good" in text and "lect train" in text


def test_check_finds_labels_that_do_not_fit(lect: Lect, tmp_path: Path) -> None:
    source = write_set(tmp_path / "set", [*WORDS[:8], "ba"])
    table = (source / "metadata.csv").read_text().replace("08.wav,ba", "08.wav,ba da go mi su la go ba mi da go mi")
    (source / "metadata.csv").write_text(table)
    lect("init", tmp_path / "p")
    lect("import", source, "--project", tmp_path / "p")
    assert "clip 9: the label" in lect("check", "--project", tmp_path / "p").out


def test_an_empty_project_says_what_to_do(lect: Lect, tmp_path: Path) -> None:
    lect("init", tmp_path / "p")
    assert "lect import" in lect("check", "--project", tmp_path / "p").out
    assert lect("split", "--project", tmp_path / "p").code == 0
    assert lect("train", "--project", tmp_path / "p", "--backbone", "tiny").failed_with("at least")
    assert lect("eval", "latest", "--project", tmp_path / "p").failed_with("lect train", code=2)


def test_split_is_seeded_and_can_start_over(lect: Lect, project: Path) -> None:
    first = lect("split", "--project", project, "--seed", "1", "--reassign", "--json").json
    second = lect("split", "--project", project, "--seed", "1", "--reassign", "--json").json
    other = lect("split", "--project", project, "--seed", "2", "--reassign", "--json").json
    assert first["assignment"] == second["assignment"] != other["assignment"]
    assert "split  " in lect("split", "--project", project).out


def test_cache_is_measured_and_emptied(lect: Lect, project: Path) -> None:
    kept = project / "cache" / "ab" / "abc.npy"
    kept.parent.mkdir()
    kept.write_bytes(bytes(1000))
    assert lect("cache", "info", "--project", project, "--json").json["bytes"] == 1000
    assert "1.0 kB freed" in lect("cache", "clear", "--project", project).out
    assert not kept.exists()


@pytest.mark.parametrize("what", ["list", "info", "verify"])
def test_backbones_are_listed_described_and_verified(lect: Lect, what: str) -> None:
    shown = lect("backbone", what, *([] if what == "list" else ["tiny"]))
    assert shown.code == 0 and "tiny" in shown.out


def test_a_damaged_backbone_is_found_out(lect: Lect, home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(home / "backbones" / "tiny" / name, folder)
    write_sums(folder)
    assert lect("backbone", "verify", folder).code == 0
    assert lect("backbone", "info", folder, "--json").json["graphs"] == []
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    found = lect("backbone", "verify", folder, "--json")
    assert found.code == 1 and found.json["wrong"] == ["model.safetensors"]
