"""How labelled sets lie on a disk: one function a layout, in `LAYOUTS`, that lists the recordings of a folder.

A layout reads tables and names files; what is wrong with one recording is noted beside it. Writes nothing, and does
not know how sound is decoded (`audio`) or what becomes of a set (`importers`).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ...contract.errors import UsageError
from .annotations import audacity, choose, described, elan, flextext, subtitles, textgrid, tiers_of
from .bars import ljspeech, tables_with_bars
from .corpora import LIMITED, SNIPS_TABLE, librispeech, mls, snips
from .items import SOUND_SUFFIXES, TEXT_SUFFIXES, Item, Tier, cell, files_in, left_over, sounds_in
from .manifests import NEMO_SUFFIXES, is_nemo, kaldi, nemo
from .tables import (
    audiofolder,
    common_voice,
    common_voice_homes,
    labels_of,
    metadata_folders,
    pairs,
)

__all__ = [
    "LAYOUTS",
    "SOUND_SUFFIXES",
    "TEXT_SUFFIXES",
    "Item",
    "Tier",
    "cell",
    "choose",
    "described",
    "left_over",
    "listed",
    "read",
    "sounds_in",
    "tiers_of",
]

LAYOUTS: dict[str, Callable[[Path], Iterator[Item]]] = {
    "audiofolder": audiofolder,
    "common-voice": common_voice,
    "pairs": pairs,
    "librispeech": librispeech,
    "mls": mls,
    "ljspeech": ljspeech,
    "snips": snips,
    "nemo": nemo,
    "kaldi": kaldi,
    "elan": elan,
    "flextext": flextext,
    "textgrid": textgrid,
    "subtitles": subtitles,
    "audacity": audacity,
}
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")
SHOWN_KINDS = 8  # of files in which nothing was recognised
OF_FILES = {"elan": elan, "flextext": flextext, "textgrid": textgrid, "subtitles": subtitles, "audacity": audacity}


def read(source: Path, layout: str = "auto", tiers: Sequence[str] = ()) -> list[Item]:
    """What `source` lists, before anything is written. layout: a name in `LAYOUTS`, or "auto"; tiers: as `choose`.

    Raises UsageError when it cannot be read, holds no such layout or leaves open which tiers count, TextError for a
    broken table.
    """
    return choose(list(listed(source, layout)), tiers)


def listed(source: Path, layout: str = "auto") -> Iterator[Item]:
    """The same with all tiers of annotation files."""
    source = Path(os.path.abspath(source))
    try:
        if not source.is_file():
            os.listdir(source)
    except OSError as error:
        raise UsageError(f"{source} cannot be read ({error.strerror}): check the path and its permissions.") from error
    if layout == "auto":
        layout = _kind_of_file(source) if source.is_file() else _recognise(source)
    if layout not in LAYOUTS:
        raise UsageError(f"There is no layout {layout!r}: name one of {', '.join(LAYOUTS)}, or auto.")
    if source.is_file() and layout != "nemo" and layout not in OF_FILES:
        raise UsageError(f"The layout {layout} is of a folder: name the folder instead of {source.name}.")
    yield from LAYOUTS[layout](source)


def _kind_of_file(source: Path) -> str:
    if is_nemo(source):
        return "nemo"
    if kind := next((name for name, layout in OF_FILES.items() if layout.holds(source)), None):
        return kind
    if source.suffix.lower() in SPREADSHEETS:
        raise UsageError(f"{source.name} is a spreadsheet: save it as metadata.csv, beside the recordings.")
    raise UsageError(f"{source.name} lists no recordings: name a folder, a zip, a manifest or an annotation file.")


def _recognise(source: Path) -> str:
    """The layout of a folder: what is particular first, a text beside each recording last."""
    if common_voice_homes(source):
        return "common-voice"
    if tables_with_bars(source):
        return "ljspeech"
    if metadata_folders(source):
        return "audiofolder"
    if LIMITED in source.parts:
        return "mls"
    files = list(files_in(source))
    if kind := next(filter(None, map(_kind_by_name, files)), None):
        return kind
    labels = {label for path in files if path.suffix.lower() in SOUND_SUFFIXES for label in labels_of(path)}
    for name, layout in OF_FILES.items():
        if any(layout.holds(path) for path in files if layout is not audacity or path not in labels):
            return name
    if labels:  # texts, with times or without
        return "pairs"
    raise UsageError(f"{source} holds no labelled recordings in a layout known here: {_what_to_do(files)}.")


def _what_to_do(files: Sequence[Path]) -> str:
    """With a folder in which nothing was recognised."""
    if sheet := next((path for path in files if path.suffix.lower() in SPREADSHEETS), None):
        return f"{sheet.name} is a spreadsheet, save it as metadata.csv"
    if files and not any(path.suffix.lower() in SOUND_SUFFIXES for path in files):
        kinds = sorted({path.suffix.lower() or path.name for path in files})
        return (
            f"there is no recording among its files ({', '.join(kinds[:SHOWN_KINDS])}), so convert them to WAV or FLAC"
        )
    return f"write a metadata.csv, put a .txt beside each, or name its layout, one of {', '.join(LAYOUTS)}"


def _kind_by_name(path: Path) -> str | None:
    """The layout of which a file is the sign."""
    if path.name.endswith(".trans.txt"):
        return "librispeech"
    if path.suffix.lower() in NEMO_SUFFIXES and is_nemo(path):
        return "nemo"
    signs = {"transcripts.txt": "mls", SNIPS_TABLE: "snips", "wav.scp": "kaldi"}
    return signs.get(path.name)
