"""Zips: unpacked where they belong, refused when they reach elsewhere or are too large, and gone afterwards."""

import io
import struct
import zipfile
from pathlib import Path

import pytest

from lect.engine.contract.errors import UsageError
from lect.engine.data.archives import unpack, unpacked
from lect.engine.data.import_plan import ImportRequest, import_set, preview
from lect.engine.data.importers import import_into
from lect.engine.data.leftovers import leftovers, remove_leftovers
from lect.engine.data.store import Project
from tests.engine.data.test_importers import texts
from tests.engine.data.test_layouts import kaldi
from tests.engine.data.test_store import python


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def refused(path: Path, words: str) -> None:
    with pytest.raises(UsageError, match=words) as error, unpacked(path, path.parent / "work"):
        pass
    assert str(error.value).endswith(".") and list((path.parent / "work").iterdir()) == []


def test_a_zip_is_read_as_its_folder_and_leaves_nothing(tmp_path: Path) -> None:
    kaldi(tmp_path / "egs")
    files = {
        f"egs/{each.relative_to(tmp_path / 'egs')}": each for each in (tmp_path / "egs").rglob("*") if each.is_file()
    }
    path = zipped(tmp_path / "set.zip", {name: each.read_bytes() for name, each in files.items()} | {"__MACOSX/x": b""})
    project = Project.create(tmp_path / "project", "p", "xx")
    with unpacked(path, tmp_path / "work") as source:
        assert source.name == "egs"
        import_into(project, source)
    assert sorted(texts(project)) == ["eins", "vier", "zwei drei"]
    assert list((tmp_path / "work").iterdir()) == []


def test_what_is_no_zip_is_left_alone(tmp_path: Path) -> None:
    with unpacked(tmp_path, tmp_path / "work") as source:
        assert source == tmp_path
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("name", ["../out.txt", "/tmp/out.txt", "a/../../out.txt", "..\\out.txt"])
def test_a_zip_that_would_write_elsewhere(tmp_path: Path, name: str) -> None:
    refused(zipped(tmp_path / "x.zip", {"good.txt": b"x", name: b"x"}), "outside its folder")
    assert not (tmp_path / "out.txt").exists()


def test_a_link_in_a_zip_is_a_file(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(link, "/etc/hosts")
    with unpacked(tmp_path / "x.zip", tmp_path / "work") as source:
        assert not (source / "link.txt").is_symlink() and (source / "link.txt").read_text() == "/etc/hosts"


def test_a_zip_that_is_too_large(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a": bytes(1000), "b": bytes(1000)})
    unpack(path, tmp_path / "fits", 2000)
    with pytest.raises(UsageError, match="holds more than"):
        unpack(path, tmp_path / "too large", 1999)
    unpack(path, tmp_path / "few enough", most_files=2)
    with pytest.raises(UsageError, match="or 1 files: split it"):
        unpack(path, tmp_path / "too many", most_files=1)


def test_a_zip_that_lies_about_its_size(tmp_path: Path) -> None:
    data = bytearray(zipped(tmp_path / "x.zip", {"a": bytes(100_000)}).read_bytes())
    entry = data.rindex(b"PK\x01\x02")  # the directory's entry: its unpacked size is 24 bytes in
    struct.pack_into("<I", data, entry + 24, 10)
    (tmp_path / "x.zip").write_bytes(data)
    refused(tmp_path / "x.zip", "cannot be unpacked")


def test_a_damaged_or_locked_zip(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a": bytes(range(256)) * 400})
    data = path.read_bytes()
    path.write_bytes(data[:60] + bytes(40) + data[100:])
    refused(path, "cannot be unpacked")
    locked = bytearray(data)
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.rindex(mark) + at] |= 1  # encrypted
    path.write_bytes(locked)
    assert zipfile.is_zipfile(io.BytesIO(locked))
    refused(path, "without a password")


def names_in(path: Path) -> list[str]:
    with unpacked(path, path.parent / "work") as source:
        return sorted(str(each.relative_to(source)) for each in source.rglob("*") if each.is_file())


def test_names_as_windows_and_old_tools_write_them(tmp_path: Path) -> None:
    data = bytearray(zipped(tmp_path / "x.zip", {"žluť/ŋ.txt": b"x", "b/ç.txt": b"y"}).read_bytes())
    for mark, at in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):
        place = -1
        while (place := data.find(mark, place + 1)) >= 0:
            data[place + at] &= ~0x08 & 0xFF  # no word of it that the names are UTF-8
    (tmp_path / "x.zip").write_bytes(data)
    assert names_in(tmp_path / "x.zip") == ["b/ç.txt", "žluť/ŋ.txt"]
    backslashes = {"set\\clips\\": b"", "set\\clips\\a.wav": b"x", "set\\metadata.csv": b"y"}
    assert names_in(zipped(tmp_path / "y.zip", backslashes)) == ["clips/a.wav", "metadata.csv"]


def test_documents_are_no_sets(tmp_path: Path) -> None:
    refused(
        zipped(tmp_path / "list.xlsx", {"[Content_Types].xml": b"", "xl/workbook.xml": b""}), "is a spreadsheet: save"
    )
    refused(zipped(tmp_path / "list.ods", {"mimetype": b"x", "content.xml": b""}), "is a spreadsheet: save it as")
    refused(zipped(tmp_path / "renamed.zip", {"xl/workbook.xml": b""}), "is a spreadsheet: save it as metadata")
    refused(zipped(tmp_path / "t.docx", {"[Content_Types].xml": b"", "word/document.xml": b""}), "is a document of an")


def test_offsets_that_lead_nowhere(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "x.zip", {"a": bytes(range(256)) * 40, "b": bytes(range(256)) * 40}).read_bytes()
    for cut in (41, 100):
        (tmp_path / "x.zip").write_bytes(whole[cut:])
        refused(tmp_path / "x.zip", r"^x\.zip cannot be unpacked")
    data = bytearray(whole)
    entry = data.rindex(b"PK\x01\x02")
    for offset in (7, 0x7FFF_FFFF, 0xFFFF_FFFF):
        struct.pack_into("<I", data, entry + 42, offset)
        (tmp_path / "x.zip").write_bytes(data)
        refused(tmp_path / "x.zip", r"^x\.zip cannot be unpacked")
    refused(zipped(tmp_path / "long.zip", {"a" * 300: b"x"}), "a name in it is too long: make the zip again")


def test_errors_name_the_zip_and_no_temporary_folder(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p", "p", "xx")
    path = zipped(tmp_path / "my set.zip", {"in side/notes.md": b"x"})
    with pytest.raises(UsageError) as error:
        preview(project, ImportRequest(path))
    assert str(error.value).startswith("my set.zip holds no labelled recordings") and "unpacked" not in str(error.value)
    hidden = tmp_path / "lect-import-x1" / "in side"
    hidden.mkdir(parents=True)
    with pytest.raises(UsageError, match=r"^What you chose holds no labelled"):
        preview(project, ImportRequest(hidden, shown="What you chose"))


KILLED = """
import os, sys
from pathlib import Path
from lect.engine.data.archives import unpacked
with unpacked(Path(sys.argv[1]), Path(sys.argv[2])):
    print("unpacked", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_import_left_is_known_and_removed(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p", "p", "xx")
    path = zipped(tmp_path / "x.zip", {"a.wav": bytes(5_000)})
    (project.folder / "audio" / "ab").mkdir()
    (project.folder / "audio" / "ab" / ".ab12.wav.123-4.part").write_bytes(bytes(100))
    process = python(KILLED, str(path), str(project.folder / "cache"))
    assert process.stdout and process.stdout.readline().strip() in ("unpacked", b"unpacked")
    assert [each.name for each in leftovers(project)] == [".ab12.wav.123-4.part"]  # the other is in use
    process.kill()
    process.wait()
    assert len(leftovers(project)) == 2 and remove_leftovers(project) == 5_100
    assert leftovers(project) == [] and list((project.folder / "cache").iterdir()) == []
    (project.folder / "cache" / "unpacked-old").mkdir()
    with pytest.raises(UsageError):
        import_set(project, ImportRequest(path))
    assert list((project.folder / "cache").iterdir()) == []
