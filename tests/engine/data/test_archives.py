"""Zips: unpacked where they belong, refused when they reach elsewhere or are too large, and gone afterwards."""

import io
import struct
import zipfile
from pathlib import Path

import pytest

from lect.engine.contract.errors import UsageError
from lect.engine.data.archives import unpack, unpacked
from lect.engine.data.importers import import_into
from lect.engine.data.store import Project
from tests.engine.data.test_importers import texts
from tests.engine.data.test_layouts import kaldi


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
