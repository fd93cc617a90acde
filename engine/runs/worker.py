"""The process that trains: `python -m lect.engine.runs.worker PROJECT RUN`. Writes one JSON event a line.

Nothing else talks to it. When it ends, in whatever way, the project's next queued run starts.
"""

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from ..contract.errors import LectError, os_sentence
from ..contract.events import Failed
from ..contract.run_files import RunFiles
from ..data.store import Project
from .execution import run_training
from .process import stop_run
from .queue import start_next

NICENESS = 10  # so that the page answers at once while a training keeps every core busy


def main(project_folder: str, run_id: str) -> int:
    """Trains one run; the exit code is 0 when it ended well."""
    if hasattr(os, "setpriority"):  # not on Windows
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    project = Project.open(Path(project_folder))
    try:
        return _train(project, run_id)
    finally:
        start_next(project, ended=run_id)


def _train(project: Project, run_id: str) -> int:
    files = RunFiles(project.run(run_id).folder)

    def stop(number: int, frame: FrameType | None) -> None:
        stop_run(project, run_id)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with files.events.open("a", encoding="utf-8") as events:
        try:
            for event in run_training(project, run_id):
                events.write(event.to_line())
                events.flush()
        except (LectError, OSError) as error:
            message = os_sentence(error) if isinstance(error, OSError) else str(error)
            project.update_run(run_id, status="failed")
            events.write(Failed(message).to_line())
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
