"""Which recordings are meant, and where the text of each goes. It does not know how they are transcribed."""

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lect.engine.contract.errors import UsageError


@dataclass(frozen=True)
class Recording:
    """One file."""

    path: Path
    inside: Path  # its place below the folder that was named; for a file that was named itself, its name


def recordings(named: Sequence[Path]) -> list[Recording]:
    """Files as they are named, there or not; of folders all sound and video below them, sorted."""
    return [
        found for path in named for found in (_below(path) if path.is_dir() else [Recording(path, Path(path.name))])
    ]


def formats(text: str) -> list[str]:
    """An argument that names formats, apart by commas, in any case; `all` is all of them."""
    from lect.exports.formats import WRITERS

    known = {name.lower(): name for name in WRITERS}
    if text.lower() == "all":
        return list(WRITERS)
    if wrong := [name for name in text.split(",") if name.lower() not in known]:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r} is none of {', '.join(WRITERS)}, all")
    return list(dict.fromkeys(known[name.lower()] for name in text.split(",")))


Outputs = dict[str, dict[str, Path]]  # pack, or "" where all have one text -> format -> file


def outputs(
    found: Sequence[Recording], folder: Path | None, names: Sequence[str], packs: Sequence[str] = ("",)
) -> dict[Recording, Outputs]:
    """Each recording's files in each format; none without a folder. Raises UsageError when two would share one."""
    if folder is None:
        return {each: {pack: {} for pack in packs} for each in found}
    places = {
        each: {pack: {name: _output(each, folder, name, pack) for name in names} for pack in packs} for each in found
    }
    paths = [path for written in places.values() for files in written.values() for path in files.values()]
    if len(places) < len(found) or len(set(paths)) < len(paths):
        raise UsageError("Two of these recordings would be written to one file: give each call names that differ.")
    return places


def _output(recording: Recording, folder: Path, name: str, pack: str) -> Path:
    from lect.exports.formats import EXTENSIONS

    stem = ".".join(part for part in (recording.inside.stem, pack) if part)
    place = folder / recording.inside.with_name(stem + EXTENSIONS[name])
    # A document of ELAN's beside its recording is somebody's work: its tiers are taken over, into a file beside it.
    theirs = recording.path.with_suffix(EXTENSIONS[name])
    is_theirs = name == "eaf" and theirs.exists() and place.resolve() == theirs.resolve()
    return place.with_name(f"{stem}.lect{EXTENSIONS[name]}") if is_theirs else place


def others(named: Sequence[Path]) -> list[Path]:
    """The files in the folders that are neither recordings known here nor texts."""
    if not (folders := [folder for folder in named if folder.is_dir()]):
        return []
    from lect.engine.data.layouts import SOUND_SUFFIXES, TEXT_SUFFIXES

    known = SOUND_SUFFIXES | TEXT_SUFFIXES
    return [path for folder in folders for path in _files(folder) if path.suffix.lower() not in known]


def _below(folder: Path) -> Iterator[Recording]:
    from lect.engine.data.layouts import SOUND_SUFFIXES

    for path in _files(folder):
        if path.suffix.lower() in SOUND_SUFFIXES:
            yield Recording(path, path.relative_to(folder))


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))
