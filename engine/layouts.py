"""How labelled sets lie on a disk: one function a layout, in `LAYOUTS`, that lists the recordings of a folder.

A layout reads tables and names files; what is wrong with one recording is said beside it. Writes nothing, and does
not know how sound is decoded (`audio`) or what becomes of a set (`importers`).
"""

import codecs
import csv
import io
import json
import os
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from engine.errors import AudioError, TextError, UsageError
from engine.text import nfc

SOUND_SUFFIXES = frozenset(".wav .flac .ogg .oga .opus .mp3 .m4a .mp4 .webm .aif .aiff .caf .au .w64 .wma .amr".split())
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "validation", "valid", "val"), "dev"),
    **dict.fromkeys(("test", "testing", "eval"), "test"),
}
# The names that a column goes by; the first that is filled in counts.
FILE_COLUMNS = ("file_name", "path", "audio_file", "file")
TEXT_COLUMNS = ("transcription", "sentence", "text", "transcript")
SPEAKER_COLUMNS = ("speaker_id", "speaker", "client_id")
LANGUAGE_COLUMNS = ("language", "locale")
SPLIT_COLUMNS = ("split",)
NAMED_COLUMNS = frozenset(FILE_COLUMNS + TEXT_COLUMNS + SPEAKER_COLUMNS + LANGUAGE_COLUMNS + SPLIT_COLUMNS)

METADATA = ("metadata.csv", "metadata.tsv", "metadata.jsonl")
COMMON_VOICE_FOLDERS = ("clips", "audios")
COMMON_VOICE_TABLES = ("train", "dev", "test", "validated")  # validated also holds the clips of the others


@dataclass(frozen=True)
class Item:
    """What a layout says about one recording."""

    path: Path  # its file
    text: str | None  # its label; None when there is none
    speaker: str = ""  # "" when not stated
    language: str = ""  # "" when not stated
    split: str = ""  # "train", "dev", "test", or "" when not stated
    extra: dict[str, str] = field(default_factory=dict)  # the columns that have no field here
    problem: str | None = None  # why it cannot be taken, in a sentence


Row = Mapping[str, str]  # column -> cell, both stripped


def read(source: Path, layout: str = "auto") -> Iterator[Item]:
    """What `source` lists, before anything is written. layout: a name in `LAYOUTS`, or "auto".

    Raises UsageError when it is no folder that can be read or holds no such layout, TextError for a broken table.
    """
    source = Path(os.path.abspath(source))
    try:
        os.listdir(source)
    except OSError as error:
        raise UsageError(f"{source} cannot be read ({error.strerror}): check the path and its permissions.") from error
    if layout == "auto":
        layout = _recognise(source)
    if layout not in LAYOUTS:
        raise UsageError(f"There is no layout {layout!r}: name one of {', '.join(LAYOUTS)}, or auto.")
    yield from LAYOUTS[layout](source)


def _recognise(source: Path) -> str:
    if any(os.path.exists(source / name) for name in COMMON_VOICE_FOLDERS) and _common_voice_tables(source):
        return "common-voice"
    if _metadata_folders(source):
        return "audiofolder"
    if any(_labels(found.path) for found in sounds_in(source)):
        return "pairs"
    raise UsageError(
        f"{source} holds no labelled recordings: it needs a metadata.csv, the tables of Common Voice, or a .txt beside "
        "each recording."
    )


def _audiofolder(source: Path) -> Iterator[Item]:
    """`metadata.csv` (.tsv, .jsonl) at the root, or one in each of `data/{train,validation,test}`."""
    folders = _metadata_folders(source)
    if not folders:
        raise UsageError(f"{source} has no metadata.csv, at its root or in data/train: write one, or name its layout.")
    listed = set()
    for folder in folders:
        table = next(folder / name for name in METADATA if os.path.exists(folder / name))
        for row, problem in _rows(table):
            item = _item(row, problem, source, folder, table, SPLIT_NAMES.get(folder.name.lower(), ""))
            listed.add(_same_name(item.path))
            yield item
    for found in sounds_in(source):
        if _same_name(found.path) not in listed:
            why = found.problem or f"{found.path.name} has no label: add its row to {METADATA[0]}."
            yield Item(found.path, None, problem=why)


def _common_voice(source: Path) -> Iterator[Item]:
    """`clips/*.mp3` or `audios/*`, and tables that name them; a clip is taken from the first table that has it."""
    tables = _common_voice_tables(source)
    folder = next((source / name for name in COMMON_VOICE_FOLDERS if os.path.exists(source / name)), None)
    if not tables or not folder:
        raise UsageError(
            f"{source} lacks the clips folder or the .tsv tables of Common Voice: name the folder of both."
        )
    earlier: set[Path] = set()
    for table in tables:
        items = [
            _item(row, problem, source, folder, table, SPLIT_NAMES.get(table.stem, ""))
            for row, problem in _rows(table, quoted=False)
        ]
        yield from (item for item in items if item.path not in earlier)
        earlier |= {item.path for item in items}


def _pairs(source: Path) -> Iterator[Item]:
    """Recordings at any depth, each with its label in a text file of the same name."""
    for found in sounds_in(source):
        labels = _labels(found.path)
        if found.problem or not labels:
            lacking = f"{found.path.name} has no label: write it in {found.path.stem}.txt beside it."
            yield Item(found.path, None, problem=found.problem or lacking)
            continue
        try:
            text = " ".join(_decode(labels[0]).split())
            problem = None if text else f"{labels[0].name} is empty: write what is said in {found.path.name}."
        except TextError as error:
            text, problem = "", str(error)
        yield Item(found.path, text or None, problem=problem)


LAYOUTS: dict[str, Callable[[Path], Iterator[Item]]] = {
    "audiofolder": _audiofolder,
    "common-voice": _common_voice,
    "pairs": _pairs,
}


def _labels(sound: Path) -> list[Path]:
    return [label for label in (sound.with_suffix(".txt"), Path(f"{sound}.txt")) if os.path.exists(label)]


def _metadata_folders(source: Path) -> list[Path]:
    """The root, or else the folders of the splits: those that have a metadata table."""
    splits = [path for path in [*source.glob("data/*"), *source.glob("*")] if path.name.lower() in SPLIT_NAMES]
    for folders in ([source], [source / "data", *sorted(splits)]):
        if found := [folder for folder in folders if any(os.path.exists(folder / name) for name in METADATA)]:
            return found
    return []


def _common_voice_tables(source: Path) -> list[Path]:
    known = [source / f"{name}.tsv" for name in COMMON_VOICE_TABLES if os.path.exists(source / f"{name}.tsv")]
    # Spontaneous speech has one table, named after the language, and splits in a column.
    return known or [path for path in sorted(source.glob("*.tsv")) if "audio_file" in _decode(path).partition("\n")[0]]


def _item(row: Row, problem: str | None, source: Path, folder: Path, table: Path, split: str) -> Item:
    """The item of a table's row. folder: from where files are named; split: where the row does not say."""
    name, text = cell(row, FILE_COLUMNS), cell(row, TEXT_COLUMNS)
    path = folder / name if name else table
    try:
        path = _find(name, folder, source, table) if name else table
        if not name:
            problem = problem or f"A row of {table.name} names no file: fill in its {FILE_COLUMNS[0]}."
        elif not text:
            problem = problem or f"{path.name} has no label: fill it in in {table.name}."
    except AudioError as error:
        problem = str(error)
    return Item(
        path=path,
        text=text or None,
        speaker=cell(row, SPEAKER_COLUMNS),
        language=cell(row, LANGUAGE_COLUMNS),
        split=SPLIT_NAMES.get(cell(row, SPLIT_COLUMNS).lower(), split),
        extra={column: value for column, value in row.items() if value and column not in NAMED_COLUMNS},
        problem=problem,
    )


def cell(row: Row, columns: Sequence[str]) -> str:
    """The first of some columns that is filled in, or ""."""
    return next((row[column] for column in columns if row.get(column)), "")


def _find(name: str, folder: Path, source: Path, table: Path) -> Path:
    """The file that a table names, in whichever way its writer's system spells it. Raises AudioError."""
    for spelling in (name, nfc(name), unicodedata.normalize("NFD", name), name.replace("\\", "/")):
        path = Path(os.path.normpath(folder / spelling))
        if not path.is_relative_to(source):  # a stranger's table must not fetch private recordings
            raise AudioError(f"{table.name} names {name}, outside its folder: put the recording inside.")
        try:
            if path.is_file():
                return path
        except OSError as error:
            raise AudioError(f"{name} cannot be read ({error.strerror}): check its name and permissions.") from error
    raise AudioError(f"{table.name} names {name}, which is not there: put it there, or take out its row.")


def _rows(table: Path, quoted: bool = True) -> Iterator[tuple[Row, str | None]]:
    """The rows of a table with what is wrong with each. Raises TextError when it is no table."""
    text = _decode(table)
    if table.suffix == ".jsonl":
        yield from (_json_row(line, number, table) for number, line in enumerate(text.split("\n"), 1) if line.strip())
        return
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    delimiter = max("\t,;", key=text.partition("\n")[0].count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting))
    except csv.Error as error:
        raise TextError(f"{table.name} cannot be read as a table ({error}): save it again as CSV.") from error
    columns = [column.strip().lower() for column in (rows[0] if rows else [])]
    for what, names in (("file", FILE_COLUMNS), ("label", TEXT_COLUMNS)):
        if not set(names) & set(columns):
            raise TextError(f"{table.name} has no column for the {what}: name one {names[0]}.")
    yield from (_csv_row(columns, cells, quoted) for cells in rows[1:] if any(cells))


def _csv_row(columns: list[str], cells: list[str], quoted: bool) -> tuple[Row, str | None]:
    cells = [each.strip() if quoted else _unquoted(each) for each in cells]
    row = dict(zip(columns, cells, strict=False))  # short rows are common, and lack only what is optional
    if any(cells[len(columns) :]):  # part of the label, most likely
        return row, "Its row has more cells than there are columns: put quotes around a text with a separator in it."
    if any("\n" in each for each in cells):  # a quote that was never closed has swallowed the rows after it
        return row, "Its row runs over several lines: check the quotes."
    return row, None


def _unquoted(text: str) -> str:
    # Common Voice writes some sentences as CSV does, quotes doubled, in tables that are not to be read so.
    text = text.strip()
    return text[1:-1].replace('""', '"').strip() if len(text) > 1 and text[0] == text[-1] == '"' else text


def _json_row(line: str, number: int, table: Path) -> tuple[Row, str | None]:
    try:
        value = json.loads(line)
        json.dumps(value, ensure_ascii=False).encode()  # half of a character, written as an escape, fails here
        if isinstance(value, dict):
            return {key.lower(): _plain(each) for key, each in value.items()}, None
    except (ValueError, RecursionError):
        pass
    return {}, f"Line {number} of {table.name} is no JSON object: correct it."


def _plain(value: object) -> str:
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _decode(path: Path) -> str:
    """A text file's text: UTF-8, or UTF-16 by its mark as spreadsheets write it. Raises TextError."""
    try:
        data = path.read_bytes()
        return data.decode("utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
    except OSError as error:
        raise TextError(f"{path.name} cannot be read ({error.strerror}): check its permissions.") from error
    except UnicodeDecodeError as error:
        raise TextError(f"{path.name} is not UTF-8 text (byte {error.start}): save it as UTF-8.") from error


def sounds_in(source: Path) -> Iterator[Item]:
    """The recordings below a folder, hidden ones left out; and the folders that cannot be read, as problems."""
    closed: list[OSError] = []
    for folder, below, names in os.walk(source, onerror=closed.append):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in SOUND_SUFFIXES:
                yield Item(Path(folder, name), None)
    for error in closed:
        why = f"The folder cannot be read ({error.strerror}): check its permissions."
        yield Item(Path(error.filename), None, problem=why)


def _same_name(path: Path) -> str:
    # Some file systems ignore case and composition, and the table need not spell a name as the folder does.
    return nfc(str(path)).casefold()
