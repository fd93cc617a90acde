"""The queue of runs: one at a time, in their order, whoever asks."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lect.engine.contract.errors import TrainError
from lect.engine.contract.run_files import RunFiles
from lect.engine.data.clips import Run
from lect.engine.data.store import Project
from lect.engine.runs import queue
from lect.engine.runs.process import only_when_idle

SETTINGS = {"method": "prompt"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project.create(tmp_path / "project", "Queue", "x-test")
    for _ in range(3):
        made.update_run(made.add_run(SETTINGS), status="queued")
    return made


def training(run: Run) -> bool:
    return run.status == "training"


def test_the_oldest_starts_and_the_others_wait(project: Project) -> None:
    assert project.start_queued(training, lambda run: 7) == "001"
    assert project.start_queued(training, lambda run: 8) is None
    first, second, third = project.runs()
    assert (first.status, first.facts) == ("training", {"pid": 7})
    assert second.status == third.status == "queued"


def test_of_many_that_ask_at_once_one_starts(project: Project) -> None:
    started: list[str] = []

    def ask() -> None:
        Project.open(project.folder).start_queued(training, lambda run: len(started) or started.append(run.id) or 1)

    askers = [threading.Thread(target=ask) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert started == ["001"] and [run.status for run in project.runs()] == ["training", "queued", "queued"]


def test_a_start_that_fails_leaves_the_run_in_the_queue(project: Project) -> None:
    def fail(run: Run) -> int:
        raise TrainError("No process could be started.")

    with pytest.raises(TrainError):
        project.start_queued(training, fail)
    assert [run.status for run in project.runs()] == ["queued"] * 3


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="this system has no such class of processes")
def test_what_is_started_beside_a_page_runs_only_when_nothing_else_does() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert only_when_idle(process.pid) == process.pid
        assert os.sched_getscheduler(process.pid) == os.SCHED_IDLE
        process.communicate(b"\n")
    only_when_idle(process.pid)  # which has ended


def test_a_process_that_is_gone_trains_no_more(project: Project) -> None:
    project.update_run("001", status="training", pid=2**22 + 1)
    assert not queue.is_training(project.run("001"))


def test_where_the_system_does_not_show_processes_a_run_is_known_by_its_events(project: Project) -> None:
    project.update_run("001", status="training", pid=1)
    nowhere = project.folder / "none"
    assert not queue.is_training(project.run("001"), nowhere)
    RunFiles(project.run("001").folder).events.touch()
    assert queue.is_training(project.run("001"), nowhere)
