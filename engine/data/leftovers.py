"""What killed imports and trainings leave in a project: unpacked zips, and files that were not written to their end.

Nothing that is in use is touched: who unpacks a zip holds a lock on the folder of it, and recordings are written by who
holds the database.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .store import Project

UNPACKED = "unpacked-"  # begins the names of folders with what a zip held
PARTIAL = ".*.part"  # files that were not renamed yet
UNUSED_S = 3600.0  # where no lock tells: nothing is written for so long


@contextmanager
def in_use(workplace: Path) -> Iterator[None]:
    """Holds what is unpacked in a folder, from now on, against `clear_unpacked`."""
    with _locked(workplace, exclusive=False):
        yield


def leftovers(project: Project) -> list[Path]:
    """The folders and files that nothing uses, most likely."""
    cache = project.folder / "cache"
    with _locked(cache, exclusive=True) as free:
        found = [path for path in cache.glob(f"{UNPACKED}*") if free]
    old = time.time() - UNUSED_S
    found += [path for path in cache.glob(f"*/{PARTIAL}") if _changed(path) < old]
    return found + project.partial_files()


def remove_leftovers(project: Project) -> int:
    """Removes them; the bytes freed."""
    found = leftovers(project)
    freed = sum(map(bytes_of, found))
    cache = project.folder / "cache"
    with _locked(cache, exclusive=True) as free:
        for path in found:
            if path.is_dir() and free:
                shutil.rmtree(path, ignore_errors=True)
            elif path.is_relative_to(cache) and path.is_file():
                path.unlink(missing_ok=True)
    project.remove_partial_files()
    return freed


def bytes_of(path: Path) -> int:
    """Of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files)


@contextmanager
def _locked(folder: Path, *, exclusive: bool) -> Iterator[bool]:
    """Locks a folder, waiting for a shared lock; whether it is locked. The system frees what a killed process held."""
    try:
        import fcntl
    except ImportError:  # Windows: its temporary folders are only known by their age
        yield not exclusive or _changed(folder) < time.time() - UNUSED_S
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()
