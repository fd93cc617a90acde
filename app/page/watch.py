"""Where a run stands, by its events, its process and its scores. It does not know how that is shown."""

import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from lect.engine.contract.events import Ended, Evaluated, Event, Failed, FeaturesReady, Started, Stepped
from lect.engine.contract.files import read_json
from lect.engine.contract.run_files import RunFiles
from lect.engine.data.clips import Run
from lect.engine.runs.queue import is_training

E = TypeVar("E", bound=Event)
KEPT = 32  # runs whose events are kept read
STARTING_S = 90.0  # loading the libraries may take this long on a busy machine


@dataclass
class View:
    """Where a run stands."""

    run: Run
    phase: str  # "new", "queued", "starting", "features", "training", "scoring", "done", "failed" or "interrupted"
    message: str = ""  # why it failed
    last: dict[type[Event], Event] = field(default_factory=dict)  # the last event of each kind
    tested: tuple[float, float] | None = None  # CER on test, before and after
    dev: float | None = None  # CER on dev by the search itself; `rates` are of quick texts
    losses: list[tuple[float, float]] = field(default_factory=list)  # (step, loss)
    rates: list[tuple[float, float]] = field(default_factory=list)  # (step, CER on dev)

    @property
    def live(self) -> bool:
        """Whether it goes on by itself."""
        return self.phase in ("starting", "features", "training", "scoring")

    @property
    def files(self) -> RunFiles:
        """Its files."""
        return RunFiles(self.run.folder)

    @property
    def steps(self) -> int:
        """How many there will be at most."""
        start = self.latest(Started)
        return start.steps if start else 0

    @property
    def step(self) -> int:
        """How many there were."""
        step = self.latest(Stepped)
        return step.step if step else 0

    def latest(self, kind: type[E]) -> E | None:
        """The last event of a kind."""
        event = self.last.get(kind)
        return event if isinstance(event, kind) else None


def look(run: Run) -> View:
    """Reads the events of a run's latest start."""
    view = View(run, "new")
    events = RunFiles(run.folder).events
    for event in _events(run.folder, events.stat().st_size) if events.exists() else ():
        _enter(view, event)
    view.phase = _phase(view)
    if view.phase == "done":
        files = RunFiles(run.folder)
        view.tested, view.dev = _tested(files), _cer(files.scores("dev"))
    return view


def _tested(files: RunFiles) -> tuple[float, float] | None:
    before, after = _cer(files.base_scores("test")), _cer(files.scores("test"))
    return None if before is None or after is None else (before, after)


def _cer(path: Path) -> float | None:
    return _read_cer(path, path.stat().st_mtime_ns) if path.exists() else None


@lru_cache(KEPT)
def _read_cer(path: Path, modified: int) -> float:
    return float(read_json(path)["cer"])


@lru_cache(KEPT)
def _events(folder: Path, size: int) -> tuple[Event, ...]:
    """The events of a file of this size: the clock looks every second, and mostly at runs that have ended."""
    files = RunFiles(folder)
    return tuple(event for event, _ in files.read_events(files.last_start()))


def _enter(view: View, event: Event) -> None:
    view.last[type(event)] = event
    match event:
        case Stepped():
            view.losses.append((event.step, event.loss))
        case Evaluated():
            view.rates.append((event.step, event.dev_cer))
        case Failed():
            view.message = event.message


def _phase(view: View) -> str:
    run, last = view.run, view.last
    if run.status in ("done", "queued"):
        return run.status
    if not is_training(run):
        if _just_started(run):
            return "starting"
        if run.status == "failed" or Failed in last:  # a full disk may keep the database from knowing
            return "failed"
        return "new" if run.status == "created" and not last else "interrupted"
    if Ended in last:
        return "scoring"
    if Stepped in last:
        return "training"
    return "features" if FeaturesReady in last else "starting"


def _just_started(run: Run) -> bool:
    log = RunFiles(run.folder).log
    return run.status == "created" and log.exists() and time.time() - log.stat().st_mtime < STARTING_S
