"""Where drafts are kept: a folder each, in the project's or, where none is open, in Lect's own.

    transcripts/<number>/  draft.json  sound.flac  peaks.bin

The sound is what models read of the recording, so that its times are the transcript's in every browser, and a clip that
is cut from it is what was heard. What is written is whole or absent. It does not know what an action does.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from lect.engine.audio.reading import SAMPLE_RATE, Samples, stream
from lect.engine.audio.writing import write_flac
from lect.engine.contract.errors import StoreError, UsageError
from lect.engine.contract.files import write_bytes
from lect.engine.model.backbone import home
from lect.exports.transcript import Transcript

from .. import recent
from .draft import Draft, draft_of, from_line, to_line

FOLDER = "transcripts"
NO_PROJECT = "none"  # in place of a project's key
PEAKS_A_SECOND = 100
SHOWN = 100  # drafts listed
KEPT_READ = 8  # drafts that need not be read again: an hour's takes a tenth of a second
_read = dict[Path, tuple[tuple[int, int], Draft]]()  # the latest last, each with the version of its file
_writing = threading.Lock()  # one action at a time, so that none is lost to another that began with the same draft


class OutdatedError(UsageError):
    """An action on a draft that has changed meanwhile, in another window."""


@dataclass(frozen=True)
class Entry:
    """What a list shows of a draft."""

    number: str
    file: str
    seconds: float
    parts: int
    checked: int


@dataclass(frozen=True)
class Place:
    """The drafts of one project, or those without."""

    folder: Path

    def add(self, file: str, recording: Path, transcript: Transcript) -> str:
        """Keeps a recording with its first draft; its number. Raises AudioError as `stream` does."""
        number = self._make()
        peaks = list[np.ndarray]()
        try:
            write_flac(self.sound(number), _noting_peaks(stream(recording), peaks))
            write_bytes(self.peaks(number), np.concatenate([np.zeros(0, np.uint8), *peaks]).tobytes())
            self._write(number, draft_of(file, transcript))
        except BaseException:
            for path in (self.sound(number), self.peaks(number)):
                path.unlink(missing_ok=True)
            (self.folder / number).rmdir()
            raise
        return number

    def entries(self) -> list[Entry]:
        """The drafts, the latest first."""
        numbers = sorted((path.parent.name for path in self.folder.glob("*/draft.json")), key=int, reverse=True)
        return [_entry(self._draft(number), self._draft(number).stat().st_mtime_ns) for number in numbers[:SHOWN]]

    def read(self, number: str) -> Draft:
        """A draft. Raises StoreError when there is none of this number."""
        path = self._draft(number)
        try:
            version = _version(path)
        except FileNotFoundError:
            raise StoreError("This transcript is gone: choose another one.") from None
        known = _read.get(path)
        if known is not None and known[0] == version:
            return known[1]
        return _remember(path, version, from_line(path.read_bytes()))

    def act(self, number: str, version: int, action: Callable[[Draft], Draft]) -> tuple[Draft, Draft]:
        """Does something with a draft; (before, after), which is on the disk.

        Raises OutdatedError where the draft is no longer the `version` that the window shows.
        """
        with _writing:
            before = self.read(number)
            if before.version != version:
                raise OutdatedError("Another window has changed this transcript.")
            after = action(before)
            if after is not before:
                self._write(number, after)
            return before, after

    def note_used(self, number: str, clips: dict[str, str]) -> None:
        """Remembers which clips of the project a draft became."""
        with _writing:
            self._write(number, replace(self.read(number), used=clips))

    def discard(self, number: str) -> None:
        """Moves a draft to the trash beside the drafts."""
        self.read(number)
        trash = self.folder.parent / "trash"
        trash.mkdir(exist_ok=True)
        os.replace(self.folder / number, trash / f"transcript-{number}-{time.time_ns()}")

    def sound(self, number: str) -> Path:
        """The recording as models read it."""
        return self._file(number, "sound.flac")

    def peaks(self, number: str) -> Path:
        """Its loudest sample of each hundredth of a second, a byte each."""
        return self._file(number, "peaks.bin")

    def _write(self, number: str, draft: Draft) -> None:
        path = self._draft(number)
        write_bytes(path, to_line(draft).encode())
        _remember(path, _version(path), draft)

    def _draft(self, number: str) -> Path:
        return self._file(number, "draft.json")

    def _file(self, number: str, name: str) -> Path:
        if not re.fullmatch("[0-9]{3,9}", number):  # from an address, and never a path
            raise StoreError("This transcript is gone: choose another one.")
        return self.folder / number / name

    def _make(self) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        last = max((int(path.name) for path in self.folder.iterdir() if path.name.isdecimal()), default=0)
        while True:
            last += 1
            try:
                (self.folder / f"{last:03d}").mkdir()
            except FileExistsError:
                continue
            return f"{last:03d}"


def place_of(folder: str) -> Place:
    """The drafts of a project's folder; "": those without a project."""
    return Place((Path(folder) if folder else home()) / FOLDER)


def place_at(key: str) -> Place:
    """The drafts by a key in an address. Raises StoreError when no such project was opened here."""
    if key == NO_PROJECT:
        return place_of("")
    if project := recent.by_key(key):
        return place_of(str(project.folder))
    raise StoreError("This project is not open here: open it in the first step.")


def _version(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def _remember(path: Path, version: tuple[int, int], draft: Draft) -> Draft:
    _read.pop(path, None)
    _read[path] = version, draft
    for old in list(_read)[:-KEPT_READ]:
        _read.pop(old, None)
    return draft


@lru_cache(256)
def _entry(path: Path, changed_ns: int) -> Entry:
    draft = from_line(path.read_bytes())
    checked = sum(part.checked for part in draft.parts)
    return Entry(path.parent.name, draft.file, draft.seconds, len(draft.parts), checked)


def _noting_peaks(blocks: Iterator[Samples], peaks: list[np.ndarray]) -> Iterator[Samples]:
    held, hop = np.zeros(0, np.float32), SAMPLE_RATE // PEAKS_A_SECOND
    for block in blocks:
        yield block
        held = np.concatenate([held, np.abs(block)])
        whole = len(held) // hop * hop
        peaks.append((held[:whole].reshape(-1, hop).max(1) * 255).astype(np.uint8))
        held = held[whole:]
