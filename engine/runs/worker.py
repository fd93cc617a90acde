"""The process that trains: `python -m lect.engine.runs.worker PROJECT RUN`. Writes one JSON event a line.

Nothing else talks to it. When it ends, in whatever way, the project's next queued run starts. It holds a little room on
the disk, so that a disk that has become full does not keep it from saying so.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from ..contract.errors import LectError, os_sentence
from ..contract.events import Event, Failed
from ..contract.run_files import RunFiles
from ..data.store import Project
from .execution import run_training
from .process import give_way, stop_run
from .queue import start_next

HELD_BYTES = 256 << 10  # the database needs half of it in order to note how a run ended

Report = Callable[[Event], None]


def main(project_folder: str, run_id: str) -> int:
    """Trains one run; the exit code is 0 when it ended well."""
    give_way()
    project = Project.open(Path(project_folder))
    try:
        return _train(project, run_id)
    finally:
        with suppress(LectError, OSError):  # where the disk is full, the next one waits for the next request
            start_next(project, ended=run_id)


def _train(project: Project, run_id: str) -> int:
    files = RunFiles(project.run(run_id).folder)

    def stop(number: int, frame: FrameType | None) -> None:
        stop_run(project, run_id)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with _reporting(files.events) as report:
        try:
            files.held.write_bytes(bytes(HELD_BYTES))
            for event in run_training(project, run_id):
                report(event)
        except (LectError, OSError) as error:
            files.held.unlink(missing_ok=True)
            try:  # before whoever waits for the event looks at it
                project.update_run(run_id, status="failed")
            finally:
                report(Failed(os_sentence(error) if isinstance(error, OSError) else str(error)))
            return 1
        finally:
            files.held.unlink(missing_ok=True)
    return 0


@contextmanager
def _reporting(path: Path) -> Iterator[Report]:
    """What appends whole lines to a file, and takes back half ones: those of a full disk, and of a former kill."""
    with path.open("r+b" if path.exists() else "w+b", buffering=0) as file:
        end = file.read().rfind(b"\n") + 1
        file.truncate(end)

        def report(event: Event) -> None:
            nonlocal end
            line = event.to_line().encode()
            file.seek(end)
            if file.write(line) < len(line):
                file.truncate(end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            end += len(line)

        yield report


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
