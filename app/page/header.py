"""The line above the steps: which project is open, what it holds, and what to do next."""

from pathlib import Path

import gradio as gr

from lect.engine.contract.errors import LectError
from lect.engine.data.store import Project

from ..output import duration
from . import languages, watch
from .events import bind
from .markup import onward, text
from .shared import Page
from .texts import Say, words_for

FIRST_GOAL = 30  # clips with which a first training is worth its while


def connect(page: Page) -> None:
    """Fills the line whenever a step is opened or the project changes."""
    for trigger in (page.loaded.then, page.project.change, page.tabs.select):
        bind(trigger, show, [page.project], [page.header])


def show(folder: str, request: gr.Request) -> str:
    """The line as HTML."""
    say = words_for(request)
    if not folder:
        return _line(f'<span class="muted">{text(say("header_none"))}</span>')
    try:
        return _facts(Project.open(Path(folder)), say)
    except LectError as error:
        return _line(f'<span class="bad">{text(str(error))}</span>')


def _facts(project: Project, say: Say) -> str:
    clips = project.clips()
    step, words = next_step(project, len(clips), say)
    count = say("count_clips", count=len(clips))
    facts = say("header_facts", clips=count, length=duration(sum(clip.seconds for clip in clips)))
    described = text(f"{languages.shown(project.language)} · {facts}")
    return _line(f'<b>{text(project.name)}</b><span class="muted">{described}</span>' + onward(words, step, "act"))


def _line(inside: str) -> str:
    return f'<div class="header"><span class="brand">Lect</span>{inside}</div>'


def next_step(project: Project, clips: int, say: Say) -> tuple[str, str]:
    """The step that comes next, and that in words."""
    runs = project.runs()
    if any(watch.look(run).live for run in runs):
        return "train", say("next_watch")
    if clips < FIRST_GOAL and not runs:
        return "record", say("next_record", count=FIRST_GOAL - clips)
    if not any(run.status == "done" for run in runs):
        return "train", say("next_train")
    return ("transcribe", say("next_transcribe")) if project.packs() else ("export", say("next_export"))
