"""`lect consent`: what is allowed holds for trainings, packs and exports, and travels with them."""

from pathlib import Path

from lect.engine.contract.run_files import RunFiles
from lect.engine.contract.run_request import RunRequest
from lect.engine.contract.train_settings import TrainSettings
from lect.engine.data.store import Project
from lect.engine.runs.guesses import Guess
from lect.engine.runs.preparation import create_run
from lect.exports.pack import read_pack
from tests.app.conftest import FAST, Lect, speech


def test_consent_is_noted_and_holds(lect: Lect, project: Path, graphs: Path, tmp_path: Path) -> None:
    where = ("--project", project)
    assert lect("consent", "--speaker", "voice 1", "--share", "no", "--words", "only for us", *where).code == 0
    shown = lect("consent", "--community", "The valley", "--licence", "CC-BY-4.0", "--label", "tk-nc", *where)
    assert "voice 1" in shown.out and "only for us" in shown.out and "TK NC" in shown.out
    assert lect("train", "--backbone", "tiny", *FAST, *where, "--quiet").code == 0
    assert lect("pack", "001", *where, "--quiet").failed_with("“voice 1”", "sharing", "lect consent", code=2)
    for form in ("--portable", "--bundle"):
        refused = lect("export", "--run", "001", form, "--out", tmp_path / "x", *where, "--quiet")
        assert refused.failed_with("“voice 1”", code=2)
    assert lect("consent", "--speaker", "voice 1", "--share", "yes", *where, "--quiet").code == 0
    assert lect("pack", "001", "-o", tmp_path / "a.lect", *where, "--quiet").code == 0
    manifest = read_pack(tmp_path / "a.lect").manifest
    assert manifest.format_version == 3 and manifest.rights["labels"] == ["TK NC"]
    assert manifest.rights["speakers_agreed"]["share"] == 1 and "voice" not in str(manifest.rights)
    assert [*project.glob("cache/*/*.npy")]
    forgotten = lect("consent", "--forget", "voice 1", *where, "--json")
    assert forgotten.json["runs"] == ["001"] and [Path(pack).name for pack in forgotten.json["packs"]] == ["a.lect"]
    assert forgotten.json["deleted"] > 0 and not [*project.glob("cache/*/*.npy")]
    assert lect("consent", "--speaker", "voice 1", "--share", "no", *where, "--quiet").code == 0
    assert lect("pack", "001", *where, "--quiet").failed_with("“voice 1”", code=2)  # what was deleted was learnt from


def test_training_asks_too(lect: Lect, project: Path) -> None:
    where = ("--project", project)
    assert lect("consent", "--community", "The valley", "--train", "ask", *where).code == 0
    assert lect("train", "--backbone", "tiny", *FAST, *where, "--quiet").failed_with("training", "“voice 0”", code=2)


def test_sound_that_nobody_labelled_is_deleted(lect: Lect, project: Path) -> None:
    where = ("--project", project)
    assert "No run keeps such sound" in lect("consent", "--forget-untranscribed", *where).out
    request = RunRequest("tiny", settings=TrainSettings(max_steps=2), guessed_by="001")
    files = RunFiles(project / "runs" / create_run(Project.open(project), request, [Guess(speech("ba"), "ba", 1, 0)]))
    cached = project / "cache" / "ab" / "abc.npy"
    cached.parent.mkdir()
    cached.write_bytes(bytes(10))
    assert len(list(files.guessed.glob("*.flac"))) == 1
    assert lect("consent", "--forget-untranscribed", *where, "--json").json["runs"] == ["001"]
    assert not files.guessed.exists() and not cached.exists()
    assert lect("train", "--resume", *where).failed_with("cannot go on", code=2)


def test_what_makes_no_sense_is_a_sentence(lect: Lect, project: Path) -> None:
    where = ("--project", project)
    assert lect("consent", "--share", "yes", *where).failed_with("--speaker", code=2)
    assert lect("consent", "--speaker", "nobody", "--share", "yes", *where).failed_with("nobody", code=2)
    assert lect("consent", "--speaker", "voice 1", "--share", "ask", *where).failed_with("community", code=2)
    assert lect("consent", "--community", "x", "--label", "CC-BY", *where).failed_with("TK NC", code=2)
    assert lect("consent", "--forget", "nobody", *where).failed_with("nobody", code=2)
