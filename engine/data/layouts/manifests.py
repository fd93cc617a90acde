"""Layouts of other tools' lists: NeMo's JSON lines, and Kaldi's data folders. Both may name stretches of recordings.

Such lists hold paths of the machine on which they were made; a recording is looked for by the end of its path, and
never outside of the source.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...contract.errors import AudioError, UsageError
from .corpora import pairs_of
from .finding import find_moved
from .items import Item, files_in, head_of, split_named, split_of
from .tables import item_of, json_rows

NEMO_FILE = "audio_filepath"
NEMO_SUFFIXES = (".json", ".jsonl")
ROUNDED_S = 0.5  # a duration that is shorter than its recording by less is the whole of it
ARCHIVE = re.compile(r"\.(ark|scp):\d+$")  # Kaldi's own container of matrices


def nemo(source: Path) -> Iterator[Item]:
    """One manifest, or those in a folder, named after splits: `audio_filepath`, `text`, `offset`, `duration`."""
    root = source if source.is_dir() else source.parent
    tables = [path for path in (files_in(source) if source.is_dir() else [source]) if is_nemo(path)]
    if not tables:
        raise UsageError(f"{source} has no manifest with {NEMO_FILE} in it: name the file, or the folder of it.")
    for table in tables:
        for row, problem in json_rows(table):
            named = {
                ("file_name" if key == NEMO_FILE else "language" if key == "lang" else key): row[key] for key in row
            }
            split = split_named(table.stem) or split_of(table, root)
            item = item_of(named, problem, root, table.parent, table, split, find_moved)
            yield _stretch(item, row.get("offset", ""), row.get("duration", ""))


def is_nemo(path: Path) -> bool:
    """Whether a file looks like a manifest."""
    if path.suffix.lower() not in NEMO_SUFFIXES:
        return False
    return f'"{NEMO_FILE}"'.encode() in head_of(path).lstrip().partition(b"\n")[0]


def kaldi(source: Path) -> Iterator[Item]:
    """Folders with `wav.scp` and `text`, and perhaps `segments`, `utt2spk` and `utt2lang`.

    What wav.scp would get by running a command is refused.
    """
    folders = [path.parent for path in files_in(source) if path.name == "wav.scp" and (path.parent / "text").is_file()]
    if not folders:
        raise UsageError(
            f"{source} has no wav.scp and text side by side: name a data folder of Kaldi, or one around it."
        )
    for folder in folders:
        texts, speakers, languages = (_lines(folder / name) for name in ("text", "utt2spk", "utt2lang"))
        recordings, segments = _lines(folder / "wav.scp"), _lines(folder / "segments")
        for name in segments or recordings:
            text = texts.pop(name, "")
            where = [*segments.get(name, "").split(), "", "", ""][:3] if segments else [name, "0", "-1"]
            if not where[2]:
                why = f"segments does not say where {name} is: write its recording, start and end behind it."
                yield Item(folder / "segments", None, problem=why)
                continue
            item = _recording(where[0], recordings, folder, source, text)
            item = replace(item, speaker=speakers.get(name, ""), language=languages.get(name, ""))
            item = replace(item, split=split_of(folder / "wav.scp", source), extra={"id": name})
            yield _between(item, *where[1:])
        for name in texts:
            yield Item(
                folder / "text",
                None,
                problem=f"text has {name}, which no other file there names: add it to segments or wav.scp.",
            )


def _lines(table: Path) -> dict[str, str]:
    return dict(pairs_of(table)) if table.is_file() else {}


def _recording(name: str, recordings: dict[str, str], folder: Path, source: Path, text: str) -> Item:
    table, address = folder / "wav.scp", recordings.get(name, "")
    try:
        if not address:
            raise AudioError(f"wav.scp has no {name}: add it, or take it out of segments.")
        if address.endswith("|") or address.startswith("|"):
            raise AudioError(f"wav.scp gets {name} by a command, and none is run: write it to a file, and name that.")
        if ARCHIVE.search(address):
            raise AudioError(f"wav.scp takes {name} from an archive of Kaldi: write it to a file, and name that.")
        path = find_moved(address, folder, source, table)
    except AudioError as error:
        return Item(table, None, problem=str(error))
    return Item(path, text or None, problem=None if text else f"{name} has no text: add it to the file text.")


def _stretch(item: Item, offset: str, duration: str) -> Item:
    """An item from `offset` on for `duration` seconds; without an offset from the beginning, as NeMo reads it."""
    if not offset and (not duration or _is_all_of(item, _seconds(duration))):
        return item
    offset = offset or "0"
    return _between(item, offset, str(_seconds(offset) + _seconds(duration)) if duration else "-1")


def _is_all_of(item: Item, seconds: float) -> bool:
    """Whether a recording is no longer than a manifest states, which may have rounded; true where that is not known."""
    from ...audio.reading import probe  # loads numpy, which the help of `lect import` must not

    try:
        return item.problem is not None or probe(item.path).seconds - seconds < ROUNDED_S
    except AudioError:
        return True


def _between(item: Item, start: str, end: str) -> Item:
    """An item from start to end, in seconds; -1 is the recording's end."""
    first, last = _seconds(start), math.inf if _seconds(end) == -1 else _seconds(end)
    if 0 <= first < last:
        return replace(item, start=first, end=last)
    why = f"{item.path.name} has no stretch from {start} to {end} s: correct its times."
    return replace(item, text=None, problem=item.problem or why)


def _seconds(number: str) -> float:
    try:
        return float(number)
    except ValueError:
        return math.nan
