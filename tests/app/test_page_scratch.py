"""The page's temporary files: bounded, gone when of no use, and named to nobody."""

import subprocess
import sys
import tempfile
import zipfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from lect.app.page.scratch import KEPT, Scratch
from lect.app.page.upload import gathered
from lect.engine.contract.errors import UsageError
from lect.engine.data.import_plan import ImportRequest, preview
from lect.engine.data.store import Project
from tests import ROOT


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scratch:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "place"))
    (tmp_path / "place").mkdir()
    return Scratch()


def copies(scratch: Scratch) -> list[Path]:
    return [path for path in (scratch.folder / "copies").iterdir()]


def upload(scratch: Scratch, name: str, content: bytes = b"ba da") -> str:
    (path := scratch.take(name)).write_bytes(content)
    return str(path)


def test_the_oldest_copy_makes_room(scratch: Scratch) -> None:
    made = []
    for number in range(KEPT + 2):
        with gathered(scratch, [upload(scratch, f"{number}.txt")], "") as folder:
            made.append(folder)
    assert len(copies(scratch)) == KEPT
    with pytest.raises(UsageError, match="choose the files again"), scratch.using(made[0]):
        pass
    with scratch.using(made[-1]), pytest.raises(UsageError, match="choose the files again"), scratch.using(made[-1]):
        pass
    assert not made[-1].exists() and made[-2].exists()


def test_a_copy_in_use_is_left_alone(scratch: Scratch) -> None:
    with gathered(scratch, [upload(scratch, "a.txt")], "") as used:
        scratch.forget(used)
    with scratch.using(used):
        scratch.forget(used)
        for number in range(KEPT + 1):
            with gathered(scratch, [upload(scratch, f"{number}.txt")], ""):
                pass
        assert (used / "a.txt").read_text() == "ba da"
    with ExitStack() as stack:
        for _ in range(KEPT):
            stack.enter_context(scratch.filling())
        with pytest.raises(UsageError, match="try again"), scratch.filling():
            pass


def test_a_copy_of_no_use_goes_and_no_sentence_names_its_place(scratch: Scratch, tmp_path: Path) -> None:
    project = Project.create(tmp_path / "project", "Scratch", "x-test")
    with pytest.raises(UsageError) as refused, gathered(scratch, [upload(scratch, "letter.txt")], "") as folder:
        preview(project, ImportRequest(folder))
    assert str(refused.value).startswith("What was sent holds no labelled recordings")
    assert not copies(scratch)
    twice = [upload(scratch, "a.txt"), upload(scratch, "a.txt")]
    with pytest.raises(UsageError, match="Two files are called"), gathered(scratch, twice, ""):
        pass
    assert not copies(scratch)


def test_a_zip_does_not_write_over_an_upload(scratch: Scratch, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("a.txt", "of the zip")
    alone = upload(scratch, "a.txt")
    with (
        pytest.raises(UsageError, match="Two files are called"),
        gathered(scratch, [alone, str(tmp_path / "set.zip")], ""),
    ):
        pass
    assert Path(alone).read_text() == "ba da"


def test_a_folder_that_was_named_stays(scratch: Scratch, tmp_path: Path) -> None:
    named = tmp_path / "set"
    named.mkdir()
    with gathered(scratch, [], str(named)) as source, scratch.using(source):
        scratch.forget(source)
    assert source == named and named.is_dir()


def test_only_folders_of_pages_that_are_gone_are_removed(scratch: Scratch, tmp_path: Path) -> None:
    place = scratch.folder.parent
    (place / "lect-page-unfinished").mkdir()  # as one is while another page starts
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "lock").touch()
    (place / "lect-page-link").symlink_to(tmp_path / "elsewhere")
    code = (
        f"import tempfile; tempfile.tempdir = {str(place)!r}; from lect.app.page.scratch import Scratch; s = Scratch()"
    )
    subprocess.run([sys.executable, "-c", code + "; import os; os._exit(0)"], cwd=ROOT, check=True)
    there = {path.name for path in place.iterdir()}
    assert len(there) == 4
    with Scratch() as another:
        kept = {scratch.folder.name, another.folder.name, "lect-page-unfinished", "lect-page-link"}
        assert {path.name for path in place.iterdir()} == kept
    assert (tmp_path / "elsewhere" / "lock").exists() and not another.folder.exists()
