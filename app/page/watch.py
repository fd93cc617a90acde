"""A run as its events tell it. It does not know how they are shown."""

import json
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from lect.app.commands.train import last_start
from lect.engine.data.clips import Run
from lect.engine.runs.queue import is_training

EVENTS, LOG = "events.jsonl", "log.txt"
KEPT = 32  # runs whose events are kept read
STARTING_S = 90.0  # loading the libraries may take this long on a busy machine


@dataclass
class View:
    """Where a run stands."""

    run: Run
    phase: str  # "new", "queued", "starting", "features", "training", "scoring", "done", "failed" or "interrupted"
    message: str = ""  # why it failed
    last: dict[str, dict[str, Any]] = field(default_factory=dict)  # the last event of each kind
    losses: list[tuple[float, float]] = field(default_factory=list)  # (step, loss)
    rates: list[tuple[float, float]] = field(default_factory=list)  # (step, CER on dev)

    @property
    def live(self) -> bool:
        """Whether it goes on by itself."""
        return self.phase in ("starting", "features", "training", "scoring")

    @property
    def steps(self) -> int:
        """How many there will be at most."""
        return int(self.last["start"]["steps"]) if "start" in self.last else 0

    @property
    def step(self) -> int:
        """How many there were."""
        return int(self.last["step"]["step"]) if "step" in self.last else 0


def look(run: Run) -> View:
    """Reads the events of a run's latest start."""
    view = View(run, "new")
    path = run.folder / EVENTS
    for event in _events(path, path.stat().st_size) if path.exists() else ():
        _enter(view, event)
    view.phase = _phase(view)
    return view


@lru_cache(KEPT)
def _events(path: Path, size: int) -> tuple[dict[str, Any], ...]:
    """The events of a file of this size: the clock looks every second, and mostly at runs that have ended."""
    with path.open("rb") as file:
        file.seek(last_start(path))
        # The last line may still be being written.
        return tuple(json.loads(line) for line in file if line.endswith(b"\n"))


def _enter(view: View, event: dict[str, Any]) -> None:
    kind = event["event"]
    view.last[kind] = event
    if kind == "step":
        view.losses.append((event["step"], event["loss"]))
    elif kind == "evaluation":
        view.rates.append((event["step"], event["dev_cer"]))
    elif kind == "error":
        view.message = event["message"]


def _phase(view: View) -> str:
    run, last = view.run, view.last
    if run.status in ("done", "queued"):
        return run.status
    if not is_training(run):
        if _just_started(run):
            return "starting"
        if run.status == "failed":
            return "failed"
        return "new" if run.status == "created" and not last else "interrupted"
    if "end" in last:
        return "scoring"
    if "step" in last:
        return "training"
    return "features" if "features" in last else "starting"


def _just_started(run: Run) -> bool:
    log = run.folder / LOG
    return run.status == "created" and log.exists() and time.time() - log.stat().st_mtime < STARTING_S
