"""Zips from strangers: unpacked into one folder and nowhere else, within limits.

Does not know what is in them (`layouts`).
"""

import errno
import lzma
import re
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from ..contract.errors import LectError, UsageError
from .leftovers import UNPACKED, in_use

MOST_BYTES = 40_000_000_000  # unpacked; a hundred hours of uncompressed speech
MOST_FILES = 500_000
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    struct.error,
)
COPIED_BYTES = 1 << 20  # at once
UTF8_FLAG = 0x800  # of an entry whose name states that it is UTF-8
SHEET = frozenset({"xl/workbook.xml", "xl/workbook.bin"})
SHEET_SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".ods", ".numbers")
DOCUMENT = frozenset({"[Content_Types].xml", "word/document.xml", "mimetype"})
JUNK = ("__MACOSX/", ".DS_Store", "._")


@contextmanager
def unpacked(source: Path, workplace: Path) -> Iterator[Path]:
    """Yields `source`, or if that is a zip the folder of what it holds, below `workplace` for as long as it is used.

    What is raised meanwhile names the zip, not that folder.
    """
    if not (source.is_file() and zipfile.is_zipfile(source)):
        yield source
        return
    workplace.mkdir(parents=True, exist_ok=True)
    with in_use(workplace), tempfile.TemporaryDirectory(prefix=UNPACKED, dir=workplace) as temporary:
        folder = Path(temporary) / source.stem
        unpack(source, folder)
        inside = only_folder(folder)
        with naming(source.name, inside, folder, temporary):
            yield inside


@contextmanager
def naming(name: str, *folders: str | Path) -> Iterator[None]:
    """Errors about what lies in temporary folders, the innermost first, name what these stand for."""
    try:
        yield
    except LectError as error:
        said = str(error)
        for folder in folders:
            said = said.replace(str(folder), name)
        if said == str(error):
            raise
        raise type(error)(said) from error


def unpack(archive: Path, folder: Path, most_bytes: int = MOST_BYTES, most_files: int = MOST_FILES) -> None:
    """Unpacks a zip into `folder`. Raises UsageError for one that is damaged, too large or would write elsewhere."""
    try:
        with zipfile.ZipFile(archive) as file:
            entries = [each for each in file.infolist() if not _is_left_out(each.filename)]
            _check_kind(archive, {each.filename for each in entries})
            size = sum(each.file_size for each in entries)  # nothing more is ever read of an entry
            if len(entries) > most_files or size > most_bytes:
                most = f"{most_bytes / 1e9:g} GB or {most_files:,} files"
                raise UsageError(f"{archive.name} holds more than {most}: split it.")
            names = {entry: _name(entry, archive) for entry in entries}
            folder.mkdir(parents=True, exist_ok=True)
            if size > shutil.disk_usage(folder).free:
                raise UsageError(f"{archive.name} needs {size / 1e9:.1f} GB of disk to unpack: free some space.")
            for entry, name in names.items():
                _extract(file, entry, folder / name)
    except DAMAGED as error:
        why = f"{archive.name} cannot be unpacked ({error}): make the zip again, without a password."
        raise UsageError(why) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UsageError(f"The disk is full while {archive.name} is unpacked: free some space.") from error
        what = (
            "a name in it is too long" if error.errno == errno.ENAMETOOLONG else "it is damaged, or a name in it is odd"
        )
        raise UsageError(f"{archive.name} cannot be unpacked, for {what}: make the zip again.") from error


def _check_kind(archive: Path, names: Set[str]) -> None:
    """Raises UsageError for a zip that is a document."""
    if SHEET & names or archive.suffix.lower() in SHEET_SUFFIXES:
        raise UsageError(f"{archive.name} is a spreadsheet: save it as metadata.csv, beside the recordings.")
    if DOCUMENT & names:
        raise UsageError(f"{archive.name} is a document of an office program: save its text as CSV or plain text.")


def _name(entry: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    """The name of an entry, as its writer meant it: some write UTF-8 without saying so, and some Windows' slashes."""
    text = entry.filename
    if not entry.flag_bits & UTF8_FLAG:
        with suppress(UnicodeError):
            text = text.encode("cp437").decode("utf-8")
    name = PurePosixPath(text.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or not name.parts or re.match("[A-Za-z]:", name.parts[0]):
        raise UsageError(f"{archive.name} would write outside its folder: make the zip again.")
    return name


def _extract(file: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with file.open(entry) as source, target.open("wb") as written:
        shutil.copyfileobj(source, written, COPIED_BYTES)


def only_folder(folder: Path) -> Path:
    """The one folder in a folder that holds nothing else, or that folder itself."""
    inside = [each for each in folder.iterdir() if not each.name.startswith(".")]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _is_left_out(name: str) -> bool:
    """Whether an entry is a folder, or what a Mac adds."""
    return name.endswith(("/", "\\")) or name.startswith(JUNK[0]) or PurePosixPath(name).name.startswith(JUNK[1:])
