"""The temporary files of one running page: uploads, takes, and copies of what is looked through before an import.

They go when the page ends, and those of a page that was killed when the next one starts. It does not know Gradio.
"""

import contextlib
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from lect.engine.contract.errors import LectError, UsageError

from ..refusing import without

PREFIX, LOCK = "lect-page-", "lock"
KEPT = 4  # copies at most, a preview each


class Scratch:
    """A folder of this user's alone in the system's temporary folder, locked for as long as its page runs.

    Not in Lect's own folder: what nobody removes goes with the system's next start.
    """

    def __init__(self) -> None:
        clear_abandoned(Path(tempfile.gettempdir()))
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
        self.uploads, self._copies = self.folder / "uploads", self.folder / "copies"
        self.uploads.mkdir()
        self._copies.mkdir()
        self._lock = _lock(self.folder)
        self._guard, self._busy = threading.Lock(), set[Path]()

    def __enter__(self) -> "Scratch":
        return self

    def __exit__(self, *exception: Any) -> None:
        self._lock.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def filling(self) -> Iterator[Path]:
        """A new folder for copies, which goes again if they are of no use. The oldest that nobody uses makes room.

        Raises UsageError when all are in use.
        """
        with self._guard:
            self._make_room()
            folder = Path(tempfile.mkdtemp(dir=self._copies))
            self._busy.add(folder)
        try:
            yield folder
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, LectError):
                raise type(error)(without(folder, str(error))) from error
            raise
        finally:
            self._busy.discard(folder)

    @contextlib.contextmanager
    def using(self, inside: Path) -> Iterator[None]:
        """Keeps the copy that a path lies in, and forgets it when all went well; a path elsewhere is left alone.

        Raises UsageError if the copy is gone.
        """
        if (folder := self._copy(inside)) is None:
            return (yield)
        with self._guard:
            if folder in self._busy or not inside.exists():
                raise UsageError("What was looked through is gone or being taken: choose the files again.")
            self._busy.add(folder)
        try:
            yield
        finally:
            self._busy.discard(folder)
        self.forget(inside)

    def forget(self, inside: Path) -> None:
        """Removes the copy that a path lies in, unless it is in use; a path elsewhere is left alone."""
        if (folder := self._copy(inside)) and folder not in self._busy:
            shutil.rmtree(folder, ignore_errors=True)

    def take(self, name: str) -> Path:
        """A new path for a recording that the server makes."""
        return Path(tempfile.mkdtemp(dir=self.folder)) / name

    def _copy(self, inside: Path) -> Path | None:
        if inside == self._copies or not inside.is_relative_to(self._copies):
            return None
        return self._copies / inside.relative_to(self._copies).parts[0]

    def _make_room(self) -> None:
        there = sorted(self._copies.iterdir(), key=lambda folder: folder.stat().st_mtime)
        idle = [folder for folder in there if folder not in self._busy]
        if len(there) - len(idle) >= KEPT:
            raise UsageError("Others have their recordings looked through: try again when they are done.")
        for folder in idle[: max(0, len(there) - KEPT + 1)]:
            shutil.rmtree(folder, ignore_errors=True)


def clear_abandoned(place: Path) -> None:
    """Removes the folders of pages that were killed."""
    for folder in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, or another start is at it
            lock = folder / LOCK
            if not folder.is_symlink() and lock.is_file() and not _is_locked(lock):
                shutil.rmtree(folder, ignore_errors=True)


def _lock(folder: Path) -> IO[bytes]:
    """Locks a folder; its lock appears with its name only when it is locked, or another start would remove it."""
    if sys.platform == "win32":  # there, nobody can remove a file that is open
        return (folder / LOCK).open("wb")
    import fcntl

    early = folder / f"{LOCK}.part"
    file = early.open("wb")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    early.rename(folder / LOCK)
    return file


def _is_locked(lock: Path) -> bool:
    if sys.platform == "win32":
        lock.unlink()
        return False
    import fcntl

    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
