"""The process that trains a run, from outside: started, asked to end, and followed by its events."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..contract.errors import TrainError
from ..contract.events import Done, Event, Failed
from ..contract.run_files import RunFiles
from ..contract.subprocesses import module_command

if TYPE_CHECKING:
    from ..data.store import Project

WORKER = "lect.engine.runs.worker"
POLL_SECONDS = 0.2
NICENESS = 10  # so that the page answers at once while a training, or its measurement, keeps every core busy
FULL_BYTES = 1 << 20  # with less left on a disk, nothing more is said about the end of what wrote to it


def start_run(project: "Project", run_id: str) -> subprocess.Popen[bytes]:
    """Starts the training in a process of its own, which outlives this one."""
    files = RunFiles(project.run(run_id).folder)
    files.stop.unlink(missing_ok=True)
    command = module_command(WORKER, str(project.folder), run_id)
    with files.log.open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def give_way() -> None:
    """Lets other processes go before this one."""
    if hasattr(os, "setpriority"):  # not on Windows
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)


def only_when_idle(process: int) -> int:
    """Lets a process that was just started run only while no other wants to, where the system can; its number.

    Beside a training that only has a higher nice value, one click in twenty took more than 115 to 143 ms,
    and 82 to 117 so.
    """
    if hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):  # it has ended already
            os.sched_setscheduler(process, os.SCHED_IDLE, os.sched_param(0))
    return process


def stop_run(project: "Project", run_id: str) -> None:
    """Asks a running training to end after its step and keep the best."""
    RunFiles(project.run(run_id).folder).stop.touch()


def follow(folder: Path, process: subprocess.Popen[bytes] | None = None, start: int = 0) -> Iterator[Event]:
    """The events of a run from byte `start` of its events file, as they come, until its last one.

    Raises TrainError when the training's process died without one.
    """
    files, position = RunFiles(folder), start
    while True:
        ended = process is not None and process.poll() is not None
        for event, behind in files.read_events(position):
            position = behind
            yield event
            if isinstance(event, Done | Failed):
                return
        if ended:
            raise TrainError(_why_ended(files))
        time.sleep(POLL_SECONDS)


def _why_ended(files: RunFiles) -> str:
    again = f"`lect train --resume {files.folder.name}`"
    if shutil.disk_usage(files.folder).free < FULL_BYTES:
        return f"The training stopped, as the disk is full: free some space, then {again}."
    return f"The training stopped unexpectedly: see {files.log}, then {again}."
