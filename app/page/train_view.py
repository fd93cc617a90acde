"""What the training's step shows for the state its runs are in. What waits although nothing trains is started."""

from typing import Any

import gradio as gr

from lect.engine.data.store import Project
from lect.engine.runs import queue

from . import run_view, watch
from .markup import card, chips, empty, notice
from .texts import Say, duration


def looks(project: Project) -> list[watch.View]:
    """All runs as they stand; what waits although nothing trains is started."""
    views = [watch.look(run) for run in project.runs()]
    if any(view.phase == "queued" for view in views) and not any(view.live for view in views):
        queue.start_next(project)
        views = [watch.look(run) for run in project.runs()]
    return views


def standing(views: list[watch.View], shown: str) -> str:
    """Which run is shown, and the phases of all, to be compared with what was shown before."""
    return " ".join([shown, *(f"{view.run.id}:{view.phase}" for view in views)])


def chosen(views: list[watch.View], run_id: str) -> watch.View:
    """The view of one run."""
    return next(view for view in views if view.run.id == run_id)


def of_run(project: Project, run_id: str, say: Say) -> tuple[Any, ...]:
    """(live, runs, start, stop, leave, resume, clock, shown, seen), with one run shown; "": there is none."""
    if not run_id:
        return without_run(_readiness(project, say), ready=True)
    views = looks(project)
    view = chosen(views, run_id)
    busy = any(each.live for each in views)
    return (
        run_view.live(view, say),
        run_view.listed(views, run_id, say),
        gr.Button(say("train_queue" if busy else "train_start"), interactive=True),
        gr.Button(visible=view.phase in ("starting", "features", "training")),
        gr.Button(visible=view.phase == "queued"),
        gr.Button(visible=view.phase in ("interrupted", "failed", "new")),
        gr.Timer(active=busy),
        run_id,
        standing(views, run_id),
    )


def without_run(body: str, ready: bool) -> tuple[Any, ...]:
    """What `of_run` gives while there is no run; ready: whether one can be started."""
    hidden = [gr.Button(visible=False)] * 3
    return body, "", gr.Button(interactive=ready), *hidden, gr.Timer(active=False), "", ""


def _readiness(project: Project, say: Say) -> str:
    good = project.clips(usable_only=True)
    if not good:
        return empty(say("train_no_clips"), say("tab_record"), "record")
    seconds = sum(clip.seconds for clip in good)
    figures = chips(
        [(str(len(good)), say("fact_clips", count=len(good))), (duration(seconds, say), say("fact_length"))]
    )
    return card(say("train_ready"), figures + notice(say("train_ready_text")))
