"""How long a training with some choices would take, measured in a process of its own; one measurement at a time.

A newer question ends the one before, and a training ends it too: both would be measured too slow.
"""

import json
import subprocess
import threading
import time
from typing import Any

from lect.engine.contract.run_request import RunRequest
from lect.engine.contract.subprocesses import module_command
from lect.engine.data.store import Project

WAIT_S = 0.7  # whoever goes on choosing, or only passes by, starts nothing
KEPT = 50

_lock = threading.Lock()
_measuring: subprocess.Popen[str] | None = None
_asked = 0
_known: dict[str, dict[str, Any]] = {}


def measured(project: Project, request: RunRequest) -> dict[str, Any] | None:
    """What `engine.runs.estimate` says (or its "error"); None when a newer question came meanwhile."""
    asked, question = _ask(), json.dumps(request.to_json())
    name = f"{project.folder} {question} {[clip.id for clip in project.clips(usable_only=True)]}"
    if name in _known:
        return _known[name]
    time.sleep(WAIT_S)
    process = _start(asked, project)
    if process is None:
        return None
    output, _ = process.communicate(question)
    if process.returncode < 0 or asked != _asked:
        return None
    found: dict[str, Any] = json.loads(output or '{"error": ""}')
    if "error" not in found:
        _known[name] = found
        while len(_known) > KEPT:
            _known.pop(next(iter(_known)), None)
    return found


def forget() -> None:
    """Ends what is being measured."""
    _ask()


def _ask() -> int:
    global _asked, _measuring
    with _lock:
        _asked += 1
        if _measuring is not None:
            _measuring.kill()
            _measuring = None
        return _asked


def _start(asked: int, project: Project) -> "subprocess.Popen[str] | None":
    global _measuring
    with _lock:
        if asked != _asked:
            return None
        command = module_command("lect.engine.runs.estimate", str(project.folder))
        _measuring = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        return _measuring
