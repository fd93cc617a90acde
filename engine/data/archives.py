"""Zips from strangers: unpacked into one folder and nowhere else, within limits.

Does not know what is in them (`layouts`).
"""

import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ..contract.errors import UsageError

MOST_BYTES = 40_000_000_000  # unpacked; a hundred hours of uncompressed speech
MOST_FILES = 500_000
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError)
JUNK = ("__MACOSX/", ".DS_Store", "._")


@contextmanager
def unpacked(source: Path, workplace: Path) -> Iterator[Path]:
    """Yields `source`, or if that is a zip the folder of what it holds, below `workplace` for as long as it is used."""
    if not (source.is_file() and zipfile.is_zipfile(source)):
        yield source
        return
    workplace.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="unpacked-", dir=workplace) as temporary:
        folder = Path(temporary) / source.stem
        unpack(source, folder)
        yield only_folder(folder)


def unpack(archive: Path, folder: Path, most_bytes: int = MOST_BYTES, most_files: int = MOST_FILES) -> None:
    """Unpacks a zip into `folder`. Raises UsageError for one that is damaged, too large or would write elsewhere."""
    try:
        with zipfile.ZipFile(archive) as file:
            entries = [each for each in file.infolist() if not each.is_dir() and not _is_junk(each.filename)]
            size = sum(each.file_size for each in entries)  # nothing more is ever read of an entry
            if len(entries) > most_files or size > most_bytes:
                most = f"{most_bytes / 1e9:g} GB or {most_files:,} files"
                raise UsageError(f"{archive.name} holds more than {most}: split it.")
            for entry in entries:
                name = PurePosixPath(entry.filename.replace("\\", "/"))
                if name.is_absolute() or ".." in name.parts:
                    raise UsageError(f"{archive.name} would write outside its folder: make the zip again.")
            folder.mkdir(parents=True, exist_ok=True)
            if size > shutil.disk_usage(folder).free:
                raise UsageError(f"{archive.name} needs {size / 1e9:.1f} GB of disk to unpack: free some space.")
            for entry in entries:
                file.extract(entry, folder)
    except DAMAGED as error:
        why = f"{archive.name} cannot be unpacked ({error}): make the zip again, without a password."
        raise UsageError(why) from error


def only_folder(folder: Path) -> Path:
    """The one folder in a folder that holds nothing else, or that folder itself."""
    inside = [each for each in folder.iterdir() if not each.name.startswith(".")]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _is_junk(name: str) -> bool:
    return name.startswith(JUNK[0]) or PurePosixPath(name).name.startswith(JUNK[1:])
