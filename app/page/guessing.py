"""Recordings that nobody has written down, in the training's step: chosen, written by a run in a process of its own,
and learnt by the next one. It does not know how that is shown once it trains.
"""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from lect.engine.contract.errors import LectError, UsageError
from lect.engine.contract.run_request import RunRequest
from lect.engine.contract.subprocesses import module_command
from lect.engine.data.store import Project
from lect.engine.runs import queue
from lect.engine.runs.process import only_when_idle

from ..untranscribed import guesser_of
from . import estimates, train_form
from .events import html_block, progressing
from .markup import meter, notice
from .messages import in_words
from .shared import opened
from .texts import label, words_for

NAMED = 3  # recordings; more are better given as a folder

_lock = threading.Lock()
# The folders of projects whose recordings are being written, and the processes that write them once they have started.
_writing: dict[Path, "subprocess.Popen[str] | None"] = {}


@dataclass(frozen=True)
class Begun:
    """A run that learns from recordings too."""

    folder: str  # its project's
    asked: RunRequest
    run: str  # "": it failed
    said: str = ""  # HTML: which recordings could not be read
    options: tuple[str, ...] = ()  # of `lect train`, beyond the request


def build() -> tuple[gr.HTML, gr.File]:
    """(what there is to know, the recordings)."""
    with gr.Accordion(label("untranscribed_title"), open=False, elem_id="untranscribed"):
        known = html_block(elem_id="untranscribed-known")
        files = gr.File(
            label=label("untranscribed_files"), file_count="multiple", elem_id="untranscribed-files", height=150,
            visible=False,
        )  # fmt: skip
    return known, files


def offer(folder: str, request: gr.Request) -> tuple[str, gr.File]:
    """What `build` has, where a run is there that can write them; else why not."""
    say, run = words_for(request), guesser_of(opened(folder)) if folder else ""
    if folder and opened(folder).folder in _writing:
        return notice(say("untranscribed_busy")), gr.File(visible=False)
    if not run:
        return notice(say("untranscribed_first")), gr.File(visible=False)
    return notice(say("untranscribed_how", number=run)), gr.File(visible=True)


def write(
    request: gr.Request, folder: str, files: list[str] | None, *choices: Any
) -> Iterator[tuple[Any, Begun | None]]:
    """(progress, what came of it): a run writes the recordings, and one that learns from them is put into the queue,
    even if the window is closed. Nothing where no recordings are chosen."""
    if not files:
        yield gr.skip(), None
        return
    project, say = opened(folder), words_for(request)
    estimates.forget()
    asked, said, total = RunRequest(guessed_by=guesser_of(project)), "", len(files)

    def shown(done: int) -> str:
        words = say("untranscribed_writing", number=asked.guessed_by, done=done, total=total)
        return said + meter(done / total, words)

    try:
        chosen = train_form.for_project(train_form.request(*choices), project)
        asked = replace(chosen, guessed_by=asked.guessed_by)
        yield shown(0), None
        for at, run in progressing(lambda report: _begun(project, asked, files, report)):
            if at is not None:
                said += notice(in_words(at["unread"], say), "warn")
                yield shown(at["done"]), None
            if run is not None:
                names = [Path(file).name for file in files] if total <= NAMED else ["FOLDER"]
                yield said, Begun(folder, asked, run, said, ("--untranscribed", *names))
    except LectError as error:
        yield said + notice(train_form.why(error, say), "bad"), Begun(folder, asked, "")


def _begun(project: Project, asked: RunRequest, files: Sequence[str], report: Callable[[Any], None]) -> str:
    """The run that learns from the files, which go: it has its own copy of what it needs."""
    with _alone(project.folder):
        run = _written(project, asked, files, report)
        queue.enqueue(project, run)
    for file in files:
        Path(file).unlink(missing_ok=True)
    return run


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with _lock:
        if folder in _writing:
            raise UsageError("Recordings are being written already: the training then starts by itself.")
        _writing[folder] = None
    try:
        yield
    finally:
        _writing.pop(folder)


def end() -> None:
    """Ends what is being written; else the page's own process would stay for minutes."""
    for process in filter(None, list(_writing.values())):
        process.kill()


def _written(project: Project, asked: RunRequest, files: Sequence[str], report: Callable[[Any], None]) -> str:
    command, found = module_command("lect.app.untranscribed", str(project.folder)), dict[str, Any]()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin and process.stdout
        _writing[project.folder] = process
        only_when_idle(process.pid)
        process.stdin.write(json.dumps({"request": asked.to_json(), "recordings": list(files)}))
        process.stdin.close()
        for line in process.stdout:
            found = json.loads(line)
            if "done" in found:
                report(found)
    if "run" not in found:
        raise UsageError(found.get("error") or "The recordings could not be written: start again.")
    return str(found["run"])
