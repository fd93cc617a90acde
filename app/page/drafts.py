"""What was typed and is not saved yet: in the project's folder, so that a reload, a kill or another window finds it."""

import json
import threading
from typing import Any

from lect.engine.contract.files import read_json, write_json
from lect.engine.data.store import Project

FILE = "drafts.json"
_one_at_a_time = threading.Lock()  # two fields are typed in at once, by two windows


def read(project: Project, name: str) -> Any:
    """A draft; None when there is none."""
    return _all(project).get(name)


def named(project: Project, prefix: str) -> set[str]:
    """What follows `prefix` in the names of drafts."""
    return {name.removeprefix(prefix) for name in _all(project) if name.startswith(prefix)}


def put(project: Project, name: str, value: Any) -> None:
    """Keeps a draft (a JSON value); None or "" forgets it."""
    with _one_at_a_time:
        before = _all(project)
        after = {key: each for key, each in before.items() if key != name}
        if value not in (None, ""):
            after[name] = value
        if after != before:
            write_json(project.folder / FILE, after)


def _all(project: Project) -> dict[str, Any]:
    try:
        found = read_json(project.folder / FILE)
    except (OSError, json.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}
