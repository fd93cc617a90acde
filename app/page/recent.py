"""The projects that the page knows: those that were opened here and those in Lect's own folder, newest use first; and
the trash. Only their files are served, under a key and not under a path."""

import hashlib
import json
import os
import re
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from lect.engine.contract.errors import LectError, UsageError
from lect.engine.contract.files import read_json, write_json
from lect.engine.data.store import DATABASE, Project
from lect.engine.model.backbone import home

TRASH = ".lect-trash"  # beside a project, so that moving it there is one rename
_one_at_a_time = threading.Lock()


def recent() -> list[Path]:
    """Folders of projects that are still there, the last used first."""
    times = {folder: when for folder, when in _read("recent.json").items() if (Path(folder) / DATABASE).is_file()}
    own = projects_folder().glob(f"*/{DATABASE}")
    times |= {str(path.parent): path.stat().st_mtime for path in own if str(path.parent) not in times}
    return [Path(folder) for folder in sorted(times, key=lambda folder: -times[folder])]


def remember(project: Project) -> None:
    """Puts a project in front."""
    with _one_at_a_time:
        _write("recent.json", _read("recent.json") | {str(project.folder): time.time()})


def projects_folder() -> Path:
    """Where new projects go."""
    return home() / "projects"


def new_folder(name: str) -> Path:
    """A folder for a project of this name that is not there yet."""
    stem = re.sub(r"\W+", "-", name).strip("-") or "project"
    for candidate in (stem, *(f"{stem}-{number}" for number in range(2, 1000))):
        if not (folder := projects_folder() / candidate).exists():
            return folder
    raise AssertionError("a thousand projects of one name")


def new_name(name: str) -> str:
    """A name that no other project has."""
    taken = {one.name for folder in recent() if (one := facts_of(folder))}
    return next(each for each in (name, *(f"{name} {number}" for number in range(2, 1000))) if each not in taken)


def key(folder: Path) -> str:
    """What a project is called in addresses."""
    return hashlib.sha256(str(folder).encode()).hexdigest()[:16]


def by_key(wanted: str) -> Project | None:
    """The project that the page knows under this key."""
    folder = next((folder for folder in recent() if key(folder) == wanted), None)
    return Project.open(folder) if folder else None


def discard(project: Project) -> Path:
    """Moves a project to the trash beside it; where it lies now."""
    place = project.folder.parent / TRASH
    place.mkdir(exist_ok=True)
    target = place / f"{project.folder.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    os.replace(project.folder, target)
    with _one_at_a_time:
        _write("trash.json", _read("trash.json") | {str(target): str(project.folder)})
    return target


def trash() -> list[Path]:
    """Discarded projects that are still there, the last first."""
    return [Path(folder) for folder in reversed(_read("trash.json")) if (Path(folder) / DATABASE).is_file()]


def bring_back(discarded: Path) -> Project:
    """Moves a project from the trash to where it was, or beside that. Raises UsageError when it is gone."""
    with _one_at_a_time:
        places = _read("trash.json")
        if discarded not in trash():
            raise UsageError("That project is no longer in the trash.")
        target = Path(places.pop(str(discarded)))
        while target.exists():
            target = target.with_name(f"{target.name}-back")
        os.replace(discarded, target)
        _write("trash.json", places)
    return Project.open(target)


class Facts:
    """What the list says of a project: one look for each state of its database."""

    def __init__(self, folder: Path) -> None:
        project = Project.open(folder)
        clips = project.clips()
        self.name, self.language, self.clips = project.name, project.language, len(clips)
        self.seconds = sum(clip.seconds for clip in clips)
        self.bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def facts_of(folder: Path) -> Facts | None:
    """None for one that cannot be opened: a damaged project must not keep the others from being listed."""
    return _facts(folder, changed(folder))


def changed(folder: Path) -> float:
    """When a project was last changed, seconds since 1970."""
    files = [folder / f"{DATABASE}{end}" for end in ("", "-wal")]
    return max((file.stat().st_mtime for file in files if file.exists()), default=0.0)


@lru_cache(500)
def _facts(folder: Path, when: float) -> Facts | None:
    try:
        return Facts(folder)
    except (LectError, OSError):
        return None


def _read(name: str) -> dict[str, Any]:
    try:
        found = read_json(home() / name)
    except (OSError, json.JSONDecodeError):
        return {}
    if isinstance(found, list):  # as an older version wrote it, the last used first
        return {folder: float(-place) for place, folder in enumerate(found)}
    return found if isinstance(found, dict) else {}


def _write(name: str, value: dict[str, Any]) -> None:
    write_json(home() / name, value)
