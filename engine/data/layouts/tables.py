"""Layouts of one table or text for whole recordings: audiofolders, Common Voice, and a text file beside each."""

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from ...contract.errors import AudioError, TextError, UsageError
from ...text.slots import from_object
from .annotations import stretches
from .finding import find, there
from .items import LOSSLESS_SUFFIXES, SPLIT_NAMES, Item, Row, beginning_of, cell, decode, same_name, sounds_in
from .timed import is_ticks, is_timed, parse_timed

# The names that a column goes by; the first that is filled in counts.
FILE_COLUMNS = ("file_name", "path", "audio_file", "file")
TEXT_COLUMNS = ("transcription", "sentence", "text", "transcript")
SLOT_COLUMNS = ("slots",)  # {"size": "large"}: the label of a recording that has no text
SPEAKER_COLUMNS = ("speaker_id", "speaker", "client_id")
LANGUAGE_COLUMNS = ("language", "locale")
SPLIT_COLUMNS = ("split",)
NAMED_COLUMNS = frozenset(FILE_COLUMNS + TEXT_COLUMNS + SPEAKER_COLUMNS + LANGUAGE_COLUMNS + SPLIT_COLUMNS)

Finder = Callable[[str, Path, Path, Path], Path]  # name, folder, source, table -> path

METADATA = ("metadata.csv", "metadata.tsv", "metadata.jsonl")
COMMON_VOICE_FOLDERS = ("clips", "audios")
COMMON_VOICE_TABLES = ("train", "dev", "test", "validated")  # validated also holds the clips of the others


def audiofolder(source: Path) -> Iterator[Item]:
    """`metadata.csv` (.tsv, .jsonl) at the root, or one in each of `data/{train,validation,test}`."""
    folders = metadata_folders(source)
    if not folders:
        raise UsageError(f"{source} has no metadata.csv, at its root or in data/train: write one, or name its layout.")
    listed = set()
    for folder in folders:
        table = next(table for name in METADATA if (table := there(folder / name)))
        for row, problem in rows(table):
            item = item_of(row, problem, source, folder, table, SPLIT_NAMES.get(folder.name.lower(), ""))
            listed.add(same_name(item.path))
            yield item
    for found in sounds_in(source):
        if same_name(found.path) not in listed:
            why = found.problem or f"{found.path.name} has no label: add its row to {METADATA[0]}."
            yield Item(found.path, None, problem=why)


def common_voice(source: Path) -> Iterator[Item]:
    """`clips/*.mp3` or `audios/*`, and tables that name them; a clip is taken from the first table that has it.

    Of a release, `cv-corpus-N/LANGUAGE/clips`, every language is taken.
    """
    homes = common_voice_homes(source)
    if not homes:
        raise UsageError(
            f"{source} lacks the clips folder or the .tsv tables of Common Voice: name the folder of both."
        )
    for home in homes:
        yield from _common_voice(home)


def common_voice_homes(source: Path) -> list[Path]:
    """The folders with clips and tables: `source`, or else those one or two levels below it."""
    for folders in ([source], source.glob("*/"), source.glob("*/*/")):
        if found := [each for each in sorted(folders) if _clips_of(each) and _common_voice_tables(each)]:
            return found
    return []


def _clips_of(home: Path) -> Path | None:
    return next((home / name for name in COMMON_VOICE_FOLDERS if os.path.exists(home / name)), None)


def _common_voice(source: Path) -> Iterator[Item]:
    folder, earlier = _clips_of(source) or source, set[Path]()
    for table in _common_voice_tables(source):
        items = [
            item_of(row, problem, source, folder, table, SPLIT_NAMES.get(table.stem, ""))
            for row, problem in rows(table, quoted=False)
        ]
        yield from (item for item in items if item.path not in earlier)
        earlier |= {item.path for item in items}


def pairs(source: Path) -> Iterator[Item]:
    """Recordings at any depth, each with its label, or with what is said when, in a text file of the same name."""
    for found in _best(sounds_in(source)):
        labels = labels_of(found.path)
        if found.problem or not labels:
            lacking = f"{found.path.name} has no label: write it in {found.path.stem}.txt beside it."
            yield Item(found.path, None, problem=found.problem or lacking)
            continue
        yield from _of_label(found.path, labels[0], source)


def _best(sounds: Iterable[Item]) -> Iterator[Item]:
    """One recording of each name in a folder: of a film, a compressed copy and the original, the last."""
    found: dict[tuple[Path, str], Item] = {}
    for item in sounds:
        kept = found.setdefault((item.path.parent, same_name(item.path.stem)), item)
        if _is_lossless(item.path) > _is_lossless(kept.path):
            found[item.path.parent, same_name(item.path.stem)] = item
    yield from found.values()


def _is_lossless(path: Path) -> bool:
    return path.suffix.lower() in LOSSLESS_SUFFIXES


def _of_label(sound: Path, label: Path, source: Path) -> Iterator[Item]:
    """What a text file says about a recording: all that is said in it, or what is said when."""
    try:
        if is_timed(beginning_of(label)):
            yield from stretches(parse_timed(label.read_bytes(), label.name), label, sound, 0.0, source)
            return
        written = decode(label)
        if is_ticks(written):
            raise TextError(f"{label.name} has phones or words with times: write what is said in {sound.name}.")
        text = " ".join(written.split())
        problem = None if text else f"{label.name} is empty: write what is said in {sound.name}."
    except TextError as error:
        text, problem = "", str(error)
    except OSError as error:
        text, problem = "", f"{label.name} cannot be read ({error.strerror}): check its permissions."
    yield Item(sound, text or None, problem=problem)


def labels_of(sound: Path) -> list[Path]:
    """The text files that may be about a recording, the likeliest first."""
    names = [sound.stem + ".txt", sound.name + ".txt", sound.stem + ".lab", sound.stem + ".labels.txt"]
    return [label for name in names if (label := there(sound.with_name(name))) and label != sound]


def metadata_folders(source: Path) -> list[Path]:
    """The root, or else the folders of the splits: those that have a metadata table."""
    splits = [path for path in [*source.glob("data/*"), *source.glob("*")] if path.name.lower() in SPLIT_NAMES]
    for folders in ([source], [source / "data", *sorted(splits)]):
        if found := [folder for folder in folders if any(there(folder / name) for name in METADATA)]:
            return found
    return []


def _common_voice_tables(source: Path) -> list[Path]:
    known = [source / f"{name}.tsv" for name in COMMON_VOICE_TABLES if os.path.exists(source / f"{name}.tsv")]
    # Spontaneous speech has one table, named after the language, and splits in a column.
    return known or [path for path in sorted(source.glob("*.tsv")) if "audio_file" in decode(path).partition("\n")[0]]


def item_of(
    row: Row, problem: str | None, source: Path, folder: Path, table: Path, split: str, finder: Finder = find
) -> Item:
    """The item of a table's row. folder: from where files are named; split: where the row does not say."""
    name, text = cell(row, FILE_COLUMNS), cell(row, TEXT_COLUMNS) or from_object(cell(row, SLOT_COLUMNS))
    path = folder / name if name else table
    try:
        path = finder(name, folder, source, table) if name else table
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


def rows(table: Path, quoted: bool = True) -> Iterator[tuple[Row, str | None]]:
    """The rows of a table with what is wrong with each. Raises TextError when it is no table."""
    if table.suffix.lower() == ".jsonl":
        yield from json_rows(table)
        return
    text = decode(table)
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    delimiter = max("\t,;", key=text.partition("\n")[0].count)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting))
    except csv.Error as error:
        raise TextError(f"{table.name} cannot be read as a table ({error}): save it again as CSV.") from error
    columns = [column.strip().lower() for column in (lines[0] if lines else [])]
    for what, names in (("file", FILE_COLUMNS), ("label", TEXT_COLUMNS)):
        if not set(names) & set(columns):
            raise TextError(f"{table.name} has no column for the {what}: name one {names[0]}.")
    yield from (_csv_row(columns, cells, quoted) for cells in lines[1:] if any(cells))


def json_rows(table: Path) -> Iterator[tuple[Row, str | None]]:
    """The same of a file with a JSON object in each line."""
    lines = enumerate(decode(table).split("\n"), 1)
    yield from (_json_row(line, number, table) for number, line in lines if line.strip())


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
