"""What a layout says about one recording, and what all layouts need: names of files, columns and splits, texts, walks.

Writes nothing, and does not know how sound is decoded (`audio`).
"""

import codecs
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from ...contract.errors import TextError
from ...text.rules import nfc

# Of what is read where it is named, sound and films: a folder's recordings, for all who look into one.
SOUND_SUFFIXES = frozenset(
    ".wav .wave .bwf .rf64 .w64 .wav64 .flac .ogg .oga .opus .spx .mp3 .mp2 .mpga .mpa .m4a .m4b .m4r .aac .adts .amr "
    ".awb .3ga .aif .aiff .aifc .caf .au .snd .sph .nist .voc .wma .mka .weba "
    ".mp4 .m4v .mov .qt .3gp .3gpp .3g2 .webm .mkv .avi .wmv .asf .mpg .mpeg .mpe .vob .mts .m2ts .ogv .ogx".split()
)
LOSSLESS_SUFFIXES = frozenset(".wav .wave .bwf .rf64 .w64 .flac .aif .aiff .aifc .au .caf".split())
# Of labels, lists and what is written beside recordings: no recordings that somebody might miss.
TEXT_SUFFIXES = frozenset(
    ".txt .lab .csv .tsv .json .jsonl .eaf .flextext .textgrid .srt .vtt .ctm .trn .stm .rttm .scp .md .rst .html .htm "
    ".xml .log .etf .pfsx .yaml .yml".split()
) | {""}
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "validation", "valid", "val"), "dev"),
    **dict.fromkeys(("test", "testing", "eval"), "test"),
}
HEAD_BYTES = 4096
MARKS = (  # at the beginning of a text file; UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
NO_TEXT = (  # what word processors save under the name of a text
    (b"{\\rtf", "a document of a word processor (RTF)"),
    (b"PK\x03\x04", "a document of an office program, or a zip"),
    (b"\xd0\xcf\x11\xe0", "a document of an office program"),
    (b"%PDF-", "a PDF"),
)


@dataclass(frozen=True)
class Tier:
    """A layer of annotations."""

    name: str
    kind: str = ""  # ELAN's linguistic type
    participant: str = ""  # who speaks in it
    parent: str = ""  # the tier that it depends on; "" for one that stands alone


@dataclass(frozen=True)
class Item:
    """What a layout says about one recording, or about a stretch of one."""

    path: Path  # its file
    text: str | None  # its label; None when there is none
    speaker: str = ""  # "" when not stated
    language: str = ""  # "" when not stated
    split: str = ""  # "train", "dev", "test", or "" when not stated
    extra: dict[str, str] = field(default_factory=dict)  # the columns that have no field here
    problem: str | None = None  # why it cannot be taken, in a sentence
    start: float = 0.0  # seconds
    end: float = math.inf  # seconds; infinity is the recording's end
    tier: Tier | None = None  # in annotation files

    @property
    def is_stretch(self) -> bool:
        """Whether it is less than the whole recording."""
        return self.start > 0 or self.end < math.inf

    @property
    def place(self) -> Path:
        """The file; for a stretch with its times in seconds, as media fragments are written (W3C)."""
        if not self.is_stretch:
            return self.path
        end = "" if math.isinf(self.end) else f",{self.end:g}"
        return self.path.with_name(f"{self.path.name}#t={self.start:g}{end}")


Row = Mapping[str, str]  # column -> cell, both stripped


def cell(row: Row, columns: Sequence[str]) -> str:
    """The first of some columns that is filled in, or ""."""
    return next((row[column] for column in columns if row.get(column)), "")


def split_of(path: Path, source: Path) -> str:
    """The split that a file's folders name, such as `train-clean-100`; "" when none does."""
    folders = (source.name, *path.relative_to(source).parts[:-1])
    return next(filter(None, map(split_named, reversed(folders))), "")


def split_named(name: str) -> str:
    """The split that a name begins with, or ""."""
    return SPLIT_NAMES.get(re.split(r"[^a-z]", name.lower())[0], "")


def decode(path: Path) -> str:
    """A text file's text: UTF-8, or UTF-16 or -32 by its mark as spreadsheets write it. Raises TextError."""
    try:
        return decoded(path.read_bytes(), path.name)
    except OSError as error:
        raise TextError(f"{path.name} cannot be read ({error.strerror}): check its permissions.") from error


def decoded(data: bytes, name: str) -> str:
    """The text of a file's bytes, as `decode`."""
    if what := next((what for mark, what in NO_TEXT if data.startswith(mark)), None):
        raise TextError(f"{name} is {what}, whatever its name ends in: save it as plain text.")
    try:
        return data.decode(_coding(data))
    except UnicodeDecodeError as error:
        raise TextError(f"{name} is not UTF-8 text (byte {error.start}): save it as UTF-8.") from error


def beginning_of(path: Path) -> str:
    """The first lines of a text file, to recognise it by; "" when it cannot be read."""
    head = head_of(path)
    text = head.decode(_coding(head), "replace")
    return text if len(head) < HEAD_BYTES else text.rpartition("\n")[0]


def _coding(data: bytes) -> str:
    return next((coding for mark, coding in MARKS if data.startswith(mark)), "utf-8-sig")


def head_of(path: Path) -> bytes:
    """The first bytes of a file, to recognise it by; none when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def files_in(source: Path, closed: list[OSError] | None = None) -> Iterator[Path]:
    """The files below a folder, hidden ones left out; the folders that cannot be read go to `closed`."""
    for folder, below, names in os.walk(source, onerror=None if closed is None else closed.append):
        below[:] = sorted(name for name in below if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def sounds_in(source: Path) -> Iterator[Item]:
    """The recordings below a folder, hidden ones left out; and the folders that cannot be read, as problems."""
    closed: list[OSError] = []
    yield from (Item(path, None) for path in files_in(source, closed) if path.suffix.lower() in SOUND_SUFFIXES)
    for error in closed:
        why = f"The folder cannot be read ({error.strerror}): check its permissions."
        yield Item(Path(error.filename), None, problem=why)


def left_over(source: Path, items: Iterable[Item]) -> list[Path]:
    """The files of a folder that no item is about: neither recordings, nor labels of one."""
    paths = {item.path for item in items}
    stems = {(path.parent, _stem(path)) for path in paths}
    whole = Path(os.path.abspath(source))  # as items name theirs, however the folder was named
    return [path for path in files_in(whole) if path not in paths and not _is_text_of(path, stems)]


def _is_text_of(path: Path, stems: Set[tuple[Path, str]]) -> bool:
    """Whether a file holds text; if it looks like a label, then of a recording beside it."""
    if path.suffix.lower() not in (".txt", ".lab") or path.name.endswith(".trans.txt"):
        return path.suffix.lower() in TEXT_SUFFIXES
    return (path.parent, _stem(path)) in stems or not any(folder == path.parent for folder, _ in stems)


def _stem(path: Path) -> str:
    return same_name(path.name.partition(".")[0])


def same_name(path: Path | str) -> str:
    """A name to compare by: some file systems ignore case and composition, and a table need not spell as they do."""
    return nfc(str(path)).casefold()
