"""The line above the steps: which project is open, what it holds, and what to do next."""

from pathlib import Path

import gradio as gr

from lect.engine.contract.errors import LectError
from lect.engine.data.store import Project

from . import languages, recent, watch
from .events import bind
from .markup import figure_of, onward, text
from .messages import in_words
from .shared import Page
from .texts import Say, duration, names, words_for

FIRST_GOAL = 30  # clips with which a first training is worth its while


def connect(page: Page) -> None:
    """Fills the line whenever a step is opened or the project changes."""
    for trigger in (page.loaded.then, page.project.change, page.tabs.select):
        bind(trigger, show, [page.project], [page.header])


def show(folder: str, request: gr.Request) -> str:
    """The line as HTML."""
    say = words_for(request)
    if not folder:
        return _line(f'<span class="muted">{text(say("header_none"))}</span>', say)
    try:
        return _line(_facts(Project.open(Path(folder)), say), say)
    except LectError as error:
        return _line(f'<span class="bad">{text(in_words(str(error), say))}</span>', say)


def _facts(project: Project, say: Say) -> str:
    clips = project.clips()
    step, words = next_step(project, len(clips), say)
    count = say("count_clips", count=len(clips))
    facts = say("header_facts", clips=count, length=duration(sum(clip.seconds for clip in clips), say))
    described = text(f"{languages.shown(project.language)} · {facts}")
    name = f"<b>{text(project.name)}</b>{_which(project)}"
    return f'{name}<span class="muted">{described}</span>' + onward(words, step, "act")


def _which(project: Project) -> str:
    """The folder, where another project has the same name."""
    others = (recent.facts_of(folder) for folder in recent.recent() if folder != project.folder)
    twice = any(one and one.name == project.name for one in others)
    return f'<span class="muted">{figure_of(project.folder.name)}</span>' if twice else ""


def _line(inside: str, say: Say) -> str:
    chosen = {say("language_code"): " selected"}
    options = "".join(
        f'<option value="{code}" lang="{code}"{chosen.get(code, "")}>{text(name)}</option>'
        for code, name in names().items()
    )
    switch = f'<select class="languages" data-language aria-label="{text(say("page_language"))}">{options}</select>'
    return f'<div class="header"><h1 class="brand">Lect</h1>{inside}{switch}</div>'


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
