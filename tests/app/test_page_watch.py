"""Where a run stands, in every phase: from real project folders, event files and processes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from lect.app.page.run_view import listed
from lect.app.page.texts import words_in
from lect.app.page.watch import STARTING_S, View, look
from lect.engine.contract.adaptation_spec import AdaptationSpec
from lect.engine.contract.events import (
    BaseScored,
    Done,
    Ended,
    Evaluated,
    Event,
    Failed,
    FeaturesReady,
    LanguageModelChosen,
    Scored,
    Scoring,
    ShownText,
    Started,
    Stepped,
)
from lect.engine.contract.files import write_json
from lect.engine.contract.run_files import RunFiles
from lect.engine.data.store import Project
from lect.engine.runs.process import WORKER
from lect.engine.scoring.scores import score

RUN = "001"
START = Started({"spec": asdict(AdaptationSpec())}, "CPU", "float32", 40, 8, 20.0, 2, 1234, 1)
FEATURES = (FeaturesReady(1, 2), FeaturesReady(2, 2))
STEPS = (Stepped(1, 4.0, 5.0, 3.0, 0.1, 3.9), Stepped(2, 3.0, 4.0, 2.0, 0.2, 3.8))
EVALUATION = Evaluated(2, 2, 0.5, 0, 0.3, 0.5, (ShownText("ba", "ba da"),))
END = Ended(2, 2, 0.5, 0, 0.3, "0" * 64, True)
# As a training wrote it before its events were records: the scores lie flat beside the summary.
OLD_SCORES = '{"event": "scores", "wer": 1.0, "cer": 0.5, "conditions": {"clips": 2}, "summary": "CER 50.0 %"}\n'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project.create(tmp_path / "project", "Watch", "x-test")
    made.add_run({"method": "prompt"})
    return made


def write(project: Project, *events: Event | str) -> None:
    """Adds to the run's event file: events, or lines as they are."""
    with RunFiles(project.run(RUN).folder).events.open("a", encoding="utf-8") as file:
        file.writelines(event if isinstance(event, str) else event.to_line() for event in events)


def view(project: Project) -> View:
    """The run as the page sees it."""
    return look(project.run(RUN))


@contextmanager
def worker(project: Project, run_id: str = RUN, status: str = "training") -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like the run's own, and whose number the project knows."""
    command = [sys.executable, "-c", "import time; time.sleep(600)", WORKER, str(project.folder), run_id]
    process = subprocess.Popen(command)
    project.update_run(RUN, status=status, pid=process.pid)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_run_that_nobody_started_is_new(project: Project) -> None:
    seen = view(project)
    assert (seen.phase, seen.live, seen.steps, seen.step, seen.losses, seen.message) == ("new", False, 0, 0, [], "")


def test_a_run_in_the_queue_waits(project: Project) -> None:
    write(project, START, *STEPS)  # of a start before it was cut off
    project.update_run(RUN, status="queued")
    assert view(project).phase == "queued" and not view(project).live


def test_a_run_whose_log_is_fresh_is_starting(project: Project) -> None:
    log = RunFiles(project.run(RUN).folder).log
    log.touch()
    assert view(project).phase == "starting" and view(project).live
    long_ago = time.time() - STARTING_S - 1
    os.utime(log, (long_ago, long_ago))
    assert view(project).phase == "new"


def test_the_phases_of_a_training_in_their_order(project: Project) -> None:
    with worker(project):
        phases = [view(project).phase]
        for events in ((START, BaseScored(0.9)), FEATURES, STEPS, (EVALUATION,), (END,), (Scoring("dev"),)):
            write(project, *events)
            phases.append(view(project).phase)
        seen = view(project)
    assert phases == ["starting", "starting", "features", "training", "training", "scoring", "scoring"]
    assert seen.live and (seen.steps, seen.step) == (40, 2)
    assert seen.losses == [(1, 4.0), (2, 3.0)] and seen.rates == [(2, 0.5)]
    assert seen.latest(Started) == START and seen.latest(FeaturesReady) == FEATURES[-1]
    assert seen.latest(Evaluated) == EVALUATION and seen.latest(Done) is None


def test_a_run_being_scored_lives_in_its_process(project: Project) -> None:
    write(project, START, *STEPS, EVALUATION, END, LanguageModelChosen(0.3))
    with worker(project, status="scoring"):
        assert view(project).phase == "scoring"
    assert view(project).phase == "interrupted"


def test_done_is_done_whatever_the_process_does(project: Project) -> None:
    write(project, START, *STEPS, EVALUATION, END, Scored({"cer": 0.5}, "CER 50.0 %"), Done(RUN))
    with worker(project, status="done"):
        assert view(project).phase == "done" and not view(project).live
    assert view(project).phase == "done"


def test_a_failed_run_says_why(project: Project) -> None:
    write(project, START, *STEPS, Failed("The loss is no longer a number."))
    project.update_run(RUN, status="failed")
    assert (view(project).phase, view(project).message) == ("failed", "The loss is no longer a number.")


def test_a_killed_training_is_interrupted(project: Project) -> None:
    write(project, START, *STEPS)
    with worker(project) as process:
        assert view(project).phase == "training"
        process.kill()
        process.wait()
        assert view(project).phase == "interrupted" and view(project).step == 2


def test_the_process_of_another_run_is_not_its_own(project: Project) -> None:
    write(project, START, *STEPS)
    with worker(project, run_id="002"):
        assert view(project).phase == "interrupted"


def test_of_a_run_that_went_on_the_latest_start_is_seen(project: Project) -> None:
    write(project, START, *STEPS, Failed("The disk is full."))
    with worker(project):
        write(project, START)
        seen = view(project)
        assert (seen.phase, seen.losses, seen.message) == ("starting", [], "")
        write(project, STEPS[1])
        assert view(project).losses == [(2, 3.0)]


def test_a_line_that_is_still_being_written_waits(project: Project) -> None:
    with worker(project):
        line = STEPS[0].to_line()
        write(project, START, line[:20])
        assert view(project).phase == "starting"
        write(project, line[20:])
        assert view(project).phase == "training"


def test_event_files_of_older_versions_open(project: Project) -> None:
    write(project, START, *STEPS, EVALUATION, END, OLD_SCORES, Done(RUN))
    project.update_run(RUN, status="done")
    scores = view(project).latest(Scored)
    assert scores is not None and scores.summary == "CER 50.0 %"
    assert scores.figures == {"wer": 1.0, "cer": 0.5, "conditions": {"clips": 2}} and scores.to_line() == OLD_SCORES


def test_the_list_has_the_rate_of_the_search_once_dev_is_scored(project: Project) -> None:
    write(project, START, *STEPS, EVALUATION, END)
    project.update_run(RUN, status="done")
    say, files = words_in("en"), RunFiles(project.run(RUN).folder)
    assert "50.0 %" in listed([view(project)], RUN, say)
    scores = score(["bada"], ["bado"], ["one"], normalise=str, normalisation="none", split="dev")
    write_json(files.scores("dev"), scores.to_json())
    assert "25.0 %" in listed([view(project)], RUN, say) and "50.0 %" not in listed([view(project)], RUN, say)
