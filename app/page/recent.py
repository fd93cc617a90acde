"""The projects that were opened here, newest first. Only their files are served, under a key and not under a path."""

import hashlib
import json
import re
from pathlib import Path

from lect.engine.contract.files import read_json, write_json
from lect.engine.data.store import DATABASE, Project
from lect.engine.model.backbone import home

KEPT = 20


def recent() -> list[Path]:
    """Folders of projects that are still there."""
    try:
        folders = [Path(folder) for folder in read_json(_file())]
    except (OSError, json.JSONDecodeError):
        return []
    return [folder for folder in folders if (folder / DATABASE).is_file()]


def remember(project: Project) -> None:
    """Puts a project in front."""
    others = [folder for folder in recent() if folder != project.folder]
    write_json(_file(), [str(folder) for folder in [project.folder, *others][:KEPT]])


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


def key(folder: Path) -> str:
    """What a project is called in addresses."""
    return hashlib.sha256(str(folder).encode()).hexdigest()[:16]


def by_key(wanted: str) -> Project | None:
    """The project that was opened here under this key."""
    folder = next((folder for folder in recent() if key(folder) == wanted), None)
    return Project.open(folder) if folder else None


def _file() -> Path:
    return home() / "recent.json"
