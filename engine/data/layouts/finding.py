"""Which file a table means: names in another case, composition or system's spelling, without their ending, or moved.

What the table writes is tried first; nothing outside of the source is ever found. Reads no file.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from ...contract.errors import AudioError
from .items import SOUND_SUFFIXES, Item, same_name, sounds_in

CORPUS_SUFFIXES = (".flac", ".wav", ".opus", ".mp3", ".ogg", ".m4a")  # in which recordings named without ending come
FOLDERS_KEPT = 64  # listings in memory


def there(path: Path) -> Path | None:
    """The file or folder at `path`, however its name is spelt on this disk; None where it is not, or not certain.

    Raises AudioError for a name that no disk takes.
    """
    if _exists(path):
        return path
    folder = path.parent if _exists(path.parent) else _above(path.parent)
    if folder is None:
        return None
    found = _listing(str(folder), folder.stat().st_mtime_ns).get(same_name(path.name), [])
    return folder / found[0] if len(found) == 1 else None


def find(name: str, folder: Path, source: Path, table: Path) -> Path:
    """The file that a table names, in whichever way its writer's system spells it. Raises AudioError."""
    for spelling in dict.fromkeys((name, name.replace("\\", "/"))):
        path = Path(os.path.normpath(folder / spelling))
        if not path.is_relative_to(source):  # a stranger's table must not fetch private recordings
            raise AudioError(f"{table.name} names {name}, outside its folder: put the recording inside.")
        if (found := there(path)) and found.is_file():
            return found
    raise AudioError(f"{table.name} names {name}, which is not there: put it there, or take out its row.")


def find_moved(name: str, folder: Path, source: Path, table: Path) -> Path:
    """The file that a table names by a path of another machine or from another folder: the longest end of that path
    which is there, below `folder` or those around it up to `source`. Raises AudioError.
    """
    roots = [folder, *(parent for parent in folder.parents if parent.is_relative_to(source))]
    parts = [part for part in re.split(r"[\\/]+", name) if part not in ("", ".", "..")]
    for first in range(len(parts)):
        for root in roots:
            found = there(root.joinpath(*parts[first:]))
            if found and found.is_file() and found.is_relative_to(source):
                return found
    raise AudioError(f"{table.name} names {name}, which is not in what you import: choose a folder that holds both.")


def labelled(stem: Path, text: str, table: Path, source: Path) -> Item:
    """The item of a recording that a table names. stem: its path, with or without its ending."""
    path = Path(os.path.normpath(stem))
    if not path.is_relative_to(source):  # a stranger's table must not fetch private recordings
        return Item(table, None, problem=f"{table.name} names {_short(stem.name)}, outside its folder: put it inside.")
    names = [path] if path.suffix.lower() in SOUND_SUFFIXES else []
    names += [path.with_name(path.name + end) for end in CORPUS_SUFFIXES] if path.name else []
    why = f"{table.name} names {_short(stem.name)}, which is not there: put it there, or take out its line."
    try:
        found = next((each for name in names if (each := there(name)) and each.is_file()), None)
    except AudioError as error:
        return Item(table, None, problem=str(error))
    if found is None:
        return Item(stem, None, problem=why)
    if not text:
        return Item(found, None, problem=f"{found.name} has no label: fill it in in {table.name}.")
    return Item(found, text)


def unlisted(source: Path, listed: set[Path], table: str) -> Iterator[Item]:
    """The recordings of a folder that a table does not name, as problems."""
    for found in sounds_in(source):
        if found.path not in listed:
            yield Item(found.path, None, problem=found.problem or f"{found.path.name} has no label in {table}: add it.")


def _above(folder: Path) -> Path | None:
    found = there(folder) if folder != folder.parent else None
    return found if found and found.is_dir() else None


@lru_cache(FOLDERS_KEPT)
def _listing(folder: str, changed_ns: int) -> Mapping[str, list[str]]:
    """The names in a folder by what they are compared by; changed_ns: so that a change is seen."""
    names = defaultdict[str, list[str]](list)
    try:
        for name in os.listdir(folder):
            names[same_name(name)].append(name)
    except OSError:
        pass  # what cannot be listed was found by its exact name, or not at all
    return dict(names)


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: of a zero byte in a name
        return False
    except OSError as error:
        name = _short(path.name)
        raise AudioError(f"{name} cannot be read ({error.strerror}): check its name and permissions.") from error
    return True


def _short(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:77]}…"
