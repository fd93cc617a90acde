"""Tables of cells between bars, `ID|TEXT|…` without quotes, as LJSpeech, Piper, VITS and Coqui have them.

Such a table seldom says what its columns are, so that is told from all of its rows: which cells are names of speakers
or languages, which are texts, and where a bar belongs to a text. What cannot be told is refused. Reads no sound.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...contract.errors import TextError, UsageError
from .columns import MANY, are_alike, holds_names
from .finding import labelled, there, unlisted
from .items import Item, beginning_of, decode, split_named
from .tables import FILE_COLUMNS, LANGUAGE_COLUMNS, SPEAKER_COLUMNS, SPLIT_COLUMNS, TEXT_COLUMNS

BAR = "|"
NAMES = tuple(
    "metadata.csv metadata.txt metadata_train.csv metadata_val.csv metadata_eval.csv metadata_test.csv "
    "train.txt val.txt dev.txt test.txt filelist.txt transcript.txt".split()
)
FOLDERS = ("wavs", "wav", "clips", "audio")  # of the recordings, where rows name them without a folder
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
SPOKEN_COLUMNS = ("normalized_text", "normalised_text", "normalized_transcription", "normalised_transcription")
FILE_NAMES = (*FILE_COLUMNS, "id", "wav", "audio", "filename", "name", "wav_filename", "audio_path", "audio_filepath")
TEXT_NAMES = (*SPOKEN_COLUMNS, *TEXT_COLUMNS, "raw_text", "raw_transcription", "label")
SPEAKER_NAMES = (*SPEAKER_COLUMNS, "speaker_name", "speakerid")

Roles = Mapping[str, str]  # what a cell is, such as "file", "text" or "speaker" -> the cell


@dataclass(frozen=True)
class Columns:
    """What stands before and behind the texts of each row."""

    before: tuple[str, ...]  # roles, the file first
    texts: int  # cells of text: 2 where the second is the first, written out
    behind: tuple[str, ...]

    def roles(self, cells: Sequence[str]) -> Roles | None:
        """A row's cells by role; None where bars make it uncertain."""
        first, last = len(self.before), len(cells) - len(self.behind)
        if last <= first:
            return None
        roles = dict(zip(self.before, cells, strict=False)) | dict(zip(self.behind, cells[last:], strict=True))
        texts = [each.strip() for each in cells[first:last]]
        if self.texts == 1 or len(texts) == 1:
            return roles | {"text": BAR.join(cells[first:last]).strip()}
        if len(texts) % 2:  # a bar in one text, and not in the other
            return None
        halves = (cells[first:last][: len(texts) // 2], cells[first:last][len(texts) // 2 :])
        raw, spoken = (BAR.join(half).strip() for half in halves)
        return roles | {"text": spoken or raw}


def ljspeech(source: Path) -> Iterator[Item]:
    """Tables such as `metadata.csv` with `ID|TEXT`, `ID|TEXT|TEXT IN WORDS`, `ID|SPEAKER|TEXT` or a header.

    The text in words counts where there is one: it has numbers and abbreviations written out as they are read.
    Recordings lie at the path that a row names, or in `wavs/`. Raises TextError where the columns leave it open.
    """
    tables = tables_with_bars(source)
    if not tables:
        raise UsageError(f"{source} has no metadata.csv with bars: name the folder of LJSpeech, or another layout.")
    listed = set()
    for table in tables:
        for item in _items(table, source):
            listed.add(item.path)
            yield item
    yield from unlisted(source, listed, tables[0].name)


def tables_with_bars(source: Path) -> list[Path]:
    """The tables of a folder whose rows are cells between bars."""
    return [path for name in NAMES if (path := there(source / name)) and path.is_file() and _has_bars(path)]


def _has_bars(table: Path) -> bool:
    lines = [line for line in beginning_of(table).split("\n") if line.strip()]
    return bool(lines) and sum(BAR in line for line in lines) > MANY * len(lines)


def _items(table: Path, source: Path) -> Iterator[Item]:
    rows = _trimmed([line.rstrip("\r").split(BAR) for line in decode(table).split("\n") if line.strip()])
    header = _header(rows[0])
    columns = header or told(rows, table.name)
    split = split_named(table.stem.removeprefix("metadata_"))
    for cells in rows[1:] if header else rows:
        roles = columns.roles(cells)
        if roles is None:
            why = f"The bars in “{BAR.join(cells).strip()[:60]}” in {table.name} leave its text open: take them out."
            yield Item(table, None, problem=why)
            continue
        item = _recording(roles["file"].strip(), roles["text"], table, source)
        speaker, language = roles.get("speaker", "").strip(), roles.get("language", "").strip()
        yield replace(item, speaker=speaker, language=language, split=split_named(roles.get("split", "")) or split)


def _trimmed(rows: list[list[str]]) -> list[list[str]]:
    """The rows without the empty cells at their ends that are no column's."""
    widths = Counter(map(len, rows))
    usual = min(widths, key=lambda width: (-widths[width], width), default=2)
    while usual > 2 and not any("".join(row[usual - 1 :]).strip() for row in rows):
        usual -= 1
    return [row[: max(usual, *(place for place, cell in enumerate(row, 1) if cell.strip()), 0)] for row in rows]


def _recording(name: str, text: str, table: Path, source: Path) -> Item:
    """The item of a row; of a path of another machine the longest end that is there counts."""
    folder = next((source / each for each in FOLDERS if (source / each).is_dir()), source)
    parts = [part for part in re.split(r"[\\/]+", name) if part not in ("", ".", "..")] or [name]
    ends = [source.joinpath(*parts[first:]) for first in range(len(parts))]
    places = [*ends[:-1], folder / parts[-1], ends[-1]]
    found = (item for place in places if (item := labelled(place, text, table, source)).path.is_file())
    return next(found, None) or labelled(places[0], text, table, source)


def _header(cells: Sequence[str]) -> Columns | None:
    """The columns of a table whose first row names them."""
    named = [_role(cell.strip().lower()) for cell in cells]
    if not {"file", "text"} <= set(named):
        return None
    first, texts = named.index("text"), named.count("text")
    return Columns(tuple(named[:first]), min(texts, 2), tuple(named[first + texts :]))


def _role(name: str) -> str:
    known = {"file": FILE_NAMES, "text": TEXT_NAMES, "speaker": SPEAKER_NAMES}
    known |= {"language": (*LANGUAGE_COLUMNS, "lang"), "split": SPLIT_COLUMNS}
    return next((role for role, names in known.items() if name in names), name)


def told(rows: Sequence[Sequence[str]], name: str) -> Columns:
    """The columns of a table without a header, from all of its rows. Raises TextError where they leave it open."""
    width = min(map(len, rows))
    if width < 3:
        return Columns(("file",), _texts_of_some(rows, name), ())
    before, behind = _names(rows, width)
    texts = width - len(before) - len(behind)
    inner = [row[len(before) : len(row) - len(behind)] for row in rows]
    if texts == 1:
        return Columns(before, 1, behind)
    filled = [(row[0], row[1]) for row in inner if len(row) == 2 and row[1].strip()]
    if texts == 2 and (not filled or are_alike(filled)):
        return Columns(before, 2, behind)
    raise _open(name)


def _texts_of_some(rows: Sequence[Sequence[str]], name: str) -> int:
    """How many texts the rows with more than two cells have: the second in words, or one with bars in it."""
    wide = [row for row in rows if len(row) == 3]
    if are_alike([(row[1], row[2]) for row in wide]):
        return 2
    if wide and len(wide) >= MANY * len(rows) and holds_names(_column(wide, 2), _column(wide, 1)):
        raise _open(name)
    return 1


def _open(name: str) -> TextError:
    return TextError(
        f"{name} does not show which of its columns is the label: begin it with a row of names, such as "
        "file_name|transcription|speaker_id."
    )


def _names(rows: Sequence[Sequence[str]], width: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Roles of the columns before and behind the texts: the file's, and those that hold names."""
    before, behind = 1, 0
    while before + behind < width - 1:
        left, right = _column(rows, before), _column(rows, -1 - behind)
        if holds_names(left, right):
            before += 1
        elif holds_names(right, left):
            behind += 1
        else:
            break
    places = [*range(1, before), *range(-behind, 0)]
    roles = _kinds([_column(rows, place) for place in places])
    return ("file", *roles[: before - 1]), tuple(roles[before - 1 :])


def _column(rows: Sequence[Sequence[str]], place: int) -> list[str]:
    return [row[place].strip() for row in rows]


def _kinds(columns: Sequence[Sequence[str]]) -> list[str]:
    """The role of each column of names: one is the speaker's, and beside it one of codes the language's."""
    codes = [place for place, column in enumerate(columns) if all(map(LANGUAGE.fullmatch, filter(None, column)))]
    language = codes[0] if len(columns) > 1 and len(codes) == 1 else None
    rest = [place for place in range(len(columns)) if place != language]
    return [
        "language" if place == language else "speaker" if place == rest[0] else f"column {place}"
        for place in range(len(columns))
    ]
