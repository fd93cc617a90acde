"""The runs of a project that wait: one trains at a time, and its end starts the next. It loads no PyTorch itself."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..contract.run_files import RunFiles
from .process import WORKER, only_when_idle, start_run

if TYPE_CHECKING:
    from ..data.clips import Run
    from ..data.store import Project

PROCESSES = Path("/proc")
SILENT_S = 120.0  # elsewhere, a run without an event for so long has ended


def is_training(run: "Run", processes: Path = PROCESSES) -> bool:
    """Whether the run's process is there; processes: where the system tells what each one runs."""
    if run.status not in ("training", "scoring"):
        return False
    if not processes.is_dir():
        return _has_recent_event(run)
    command = processes / str(run.facts.get("pid")) / "cmdline"
    if not command.exists():
        return False
    words = command.read_bytes().split(b"\0")
    return WORKER.encode() in words and run.id.encode() in words


def enqueue(project: "Project", run_id: str) -> None:
    """Puts a run at the end of the queue; it starts at once where none trains."""
    project.update_run(run_id, status="queued")
    start_next(project)


def start_next(project: "Project", ended: str = "") -> str | None:
    """Starts the oldest run that waits, unless one trains; its id. ended: a run whose process is about to go."""

    def busy(run: "Run") -> bool:
        return run.id != ended and is_training(run)

    return project.start_queued(busy, lambda run: only_when_idle(start_run(project, run.id).pid))


def _has_recent_event(run: "Run") -> bool:
    events = RunFiles(run.folder).events
    return events.exists() and time.time() - events.stat().st_mtime < SILENT_S
