"""A training as the command line shows it: its phases on stderr, while a process of its own runs it.

It does not know what comes of it (`scores`).
"""

import argparse
import math
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lect.engine.contract.errors import TrainError
from lect.engine.contract.events import (
    BaseScored,
    Ended,
    Evaluated,
    Event,
    Failed,
    FeaturesReady,
    LanguageModelChosen,
    OwnTokensChosen,
    Scoring,
    Started,
    Stepped,
)
from lect.engine.contract.run_files import RunFiles
from lect.engine.runs.process import follow, start_run, stop_run
from lect.engine.runs.queue import is_training

from .output import counted, duration, percent, print_beside, progress, remark

if TYPE_CHECKING:
    from lect.engine.data.store import Project

FULL = "The disk is nearly full, so nothing is cached and every step takes longer: free some space."
SHOWN_TEXTS = 2  # of dev, at each evaluation


def start(project: "Project", run_id: str) -> subprocess.Popen[bytes] | None:
    """The run's process, started unless it runs already; None then."""
    return None if is_training(project.run(run_id)) else start_run(project, run_id)


def watch(args: argparse.Namespace, project: "Project", run_id: str) -> bool:
    """Starts a run or joins it, and shows it until it ends; whether a person ended it.

    Raises TrainError when it failed, KeyboardInterrupt at a second Ctrl-C, which leaves it running.
    """
    files = RunFiles(project.run(run_id).folder)
    end = files.events.stat().st_size if files.events.exists() else 0
    process = start(project, run_id)
    # Of a process that runs already, all its events; of a new one, none of an earlier one's.
    begin = end if process else files.last_start()

    def stop() -> None:
        remark(args, "Ending after this step and keeping the best; Ctrl-C again leaves it running by itself.")
        stop_run(project, run_id)

    remark(args, f"Run {run_id} trains in {files.folder}.")
    display = Display(args)
    with _interrupts(stop) as interrupted:
        try:
            for event in follow(files.folder, process, begin):
                display.show(event)
        except KeyboardInterrupt:
            remark(args, f"It trains on by itself: watch it with lect train --resume {run_id}.")
            raise
        finally:
            display.close()
    return interrupted()


class Display:
    """The events of one training as lines and bars on stderr."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.steps, self.best_cer = 0, math.inf
        self.bar: Any = None
        self.phase = ""  # what the bar is about

    def show(self, event: Event) -> None:
        """One event. Raises TrainError for one that says that the training failed."""
        match event:
            case OwnTokensChosen():
                remark(
                    self.args,
                    f"The backbone alone writes {counted(event.clips, 'clip')} of dev with a CER of "
                    f"{percent(event.dev_cer)}: its own tokens are tuned (--vocabulary new has letters learnt).",
                )
            case Started():
                self._show_start(event)
            case BaseScored():
                remark(self.args, f"Before any training: CER {percent(event.dev_cer)} on dev.")
            case FeaturesReady():
                self._advance("the frozen part", event.total, event.done, "clip")
                if not event.kept:
                    remark(self.args, FULL)
            case Stepped():
                self._show_step(event)
            case Evaluated():
                self._show_evaluation(event)
            case Ended():
                self._show_end(event)
            case LanguageModelChosen():
                sentence = f"Shallow fusion with an n-gram language model of the texts, weight {event.weight}."
                remark(self.args, sentence)
            case Scoring():
                remark(self.args, f"Scoring {event.split}, base and adapted.")
            case Failed():
                raise TrainError(event.message)

    def close(self) -> None:
        """Removes the bar, where there is one."""
        if self.bar is not None:
            self.bar.close()
        self.bar, self.phase = None, ""

    def _show_start(self, event: Started) -> None:
        self.steps, method = event.steps, event.settings["spec"]["method"]
        clips = f"{counted(event.train_clips, 'clip')} ({duration(event.train_seconds)})"
        trained = f"{event.trained_parameters:,} trainable parameters"
        remark(self.args, f"{method} on {clips}, {trained}, on {event.device} in {event.precision}.")

    def _show_step(self, event: Stepped) -> None:
        self._advance("training", self.steps, event.step, "step")
        best = f", best dev CER {percent(self.best_cer)}" if math.isfinite(self.best_cer) else ""
        self.bar.set_postfix_str(f"loss {event.loss:.2f}{best}", refresh=False)

    def _show_evaluation(self, event: Evaluated) -> None:
        self.best_cer = event.best_cer
        lines = [f"step {event.step}: CER {percent(event.dev_cer)} on dev"]
        lines += [f"    {one.label}\n  → {one.text}" for one in event.texts[:SHOWN_TEXTS]]
        if not (self.args.json or self.args.quiet):
            print_beside(self.bar, "\n".join(lines), error=True)

    def _show_end(self, event: Ended) -> None:
        self.close()
        why = "ended early" if event.stopped else "ended"
        spent = duration(event.seconds)
        remark(self.args, f"Training {why} after {event.step} steps, {spent}; best at step {event.best_step}.")

    def _advance(self, what: str, total: int, done: int, unit: str) -> None:
        if self.phase != what:
            self.close()
            self.bar, self.phase = progress(self.args, total, what, unit, initial=done - 1), what
        self.bar.update(done - self.bar.n)


@contextmanager
def _interrupts(stop: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Inside, the first Ctrl-C calls `stop` and the second interrupts; yields whether there was a first."""
    pressed = []

    def handle(number: int, frame: object) -> None:
        pressed.append(number)
        if len(pressed) > 1:
            raise KeyboardInterrupt
        stop()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
