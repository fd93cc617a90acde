"""Training: choose, start, watch, stop and keep the best. The training is a process of its own; the page only looks."""

import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from lect.engine.contract.errors import TrainError
from lect.engine.contract.subprocesses import module_command
from lect.engine.runs import queue

from ..output import duration
from ..train_options import arguments
from . import found_whispers, run_view, train_form, train_view, watch
from .events import bind, bind_pick, html_block, in_turn
from .header import show as header
from .markup import empty, notice, text
from .shared import Page, opened
from .texts import label, words_for

POLL_S = 1.0
IN_TURN = in_turn("train")


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_train"), id="train") as tab:
        shown, seen = gr.State(""), gr.State("")  # a run's number; it again, and how all runs stood, as last shown
        changed = gr.State(0.0)  # when the clock last found that they stand otherwise
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=2, min_width=300):
                planned = html_block(elem_id="plan")
                choices = train_form.choices()
                added = found_whispers.build(page, "train")
                with gr.Row():
                    start = gr.Button(label("train_start"), variant="primary", elem_id="start")
                    guess = gr.Button(label("train_estimate"), elem_id="estimate")
                message = html_block(elem_id="train-message")
                runs = html_block(elem_id="runs", picks=True)
            with gr.Column(scale=3, min_width=320, elem_classes="first"):
                live = html_block(elem_id="live")
                with gr.Row():
                    stop = gr.Button(label("train_stop"), variant="stop", elem_id="stop", visible=False)
                    leave = gr.Button(label("train_leave"), elem_id="leave", visible=False)
                    resume = gr.Button(label("train_resume"), elem_id="resume", visible=False)
        clock = gr.Timer(POLL_S, active=False)

    view = [live, runs, start, stop, leave, resume, clock, shown, seen]
    choice = [page.project, *choices]
    at = [page.project, shown]
    method, backbone, vocabulary = choices[0], choices[2], choices[4]
    bind(tab.select, show, [page.project, backbone], [*view, backbone], **IN_TURN)
    bind(page.project.change, choose_backbone, [page.project], [backbone])
    for trigger in added:
        bind(trigger, offer_backbones, [page.project, backbone], [backbone])
    for decides in (tab.select, method.change, backbone.change, vocabulary.change):
        bind(decides, plan, [page.project, method, backbone, vocabulary], [planned])
    bind(start.click, begin, choice, [*view, message, page.header], **IN_TURN)
    bind(guess.click, estimate, choice, [message])
    bind(stop.click, end, at, [message], **IN_TURN)
    bind(leave.click, step_back, at, view, **IN_TURN)
    bind(resume.click, go_on, at, [*view, message], **IN_TURN)
    # Every output costs the browser milliseconds, so a tick has but two. The rest is filled when a run's state changes;
    # what was under way when another run was chosen must not choose back, so that leaves `shown` alone.
    bind(clock.tick, tick, [*at, seen], [live, changed], trigger_mode="once", **IN_TURN)
    bind(changed.change, refresh, at, [*(each for each in view if each is not shown), page.header], **IN_TURN)
    bind_pick(runs, pick, [page.project], [*view, page.header], **IN_TURN)


def show(folder: str, backbone: str | None, request: gr.Request) -> tuple[Any, ...]:
    """The step as it is when it is opened: the latest run, and what a new one needs."""
    say = words_for(request)
    if not folder:
        nothing = empty(say("no_project"), say("tab_project"), "project")
        return *train_view.without_run(nothing, ready=False), offer_backbones(folder, backbone, request)
    project = opened(folder)
    latest = project.runs()[-1:]
    run_id = latest[0].id if latest else ""
    return *train_view.of_run(project, run_id, say), offer_backbones(folder, backbone, request)


def choose_backbone(folder: str, request: gr.Request) -> gr.Radio:
    """The backbones, with the one that suits the project's language chosen."""
    return offer_backbones(folder, None, request)


def offer_backbones(folder: str, chosen: str | None, request: gr.Request) -> gr.Radio:
    """The backbones, with this one chosen if it is there."""
    return train_form.backbones(opened(folder).language if folder else "", chosen, words_for(request))


def plan(folder: str, method: Any, backbone: str | None, vocabulary: Any, request: gr.Request) -> str:
    """What will be trained."""
    if not folder or not opened(folder).clips(usable_only=True):
        return ""
    return notice(train_form.plan(opened(folder), method, backbone, vocabulary, words_for(request)))


def begin(request: gr.Request, folder: str, *choices: Any) -> tuple[Any, ...]:
    """Starts a run with what was chosen, or lets it wait for the one that trains."""
    from lect.engine.runs.preparation import create_run

    project, say = opened(folder), words_for(request)
    asked = train_form.for_project(train_form.request(*choices), project)
    run_id = create_run(project, asked)
    queue.enqueue(project, run_id)
    command = shlex.join(["lect", "train", *arguments(asked)])
    same = f'<p class="muted">{text(say("train_command"))} <code>{text(command)}</code></p>'
    return *train_view.of_run(project, run_id, say), same, header(folder, request)


def estimate(request: gr.Request, folder: str, *choices: Any) -> Iterator[str]:
    """What a run with these choices would take, measured on this machine in a process of its own."""
    say, project = words_for(request), opened(folder)
    asked = train_form.for_project(train_form.request(*choices), project)
    yield notice(say("estimate_measuring"))
    command = module_command("lect.engine.runs.estimate", str(project.folder))
    measuring = subprocess.run(command, input=json.dumps(asked.to_json()), capture_output=True, text=True)
    measured = json.loads(measuring.stdout or '{"error": ""}')
    if "error" in measured:
        raise TrainError(measured["error"] or say("estimate_failed"))
    facts = {key: say(f"count_{key}", count=measured[key]) for key in ("steps", "clips")}
    facts |= {key: measured[key] for key in ("device", "precision")}
    yield notice(say("estimate_result", length=duration(measured["seconds"]), **facts))


def end(folder: str, run_id: str, request: gr.Request) -> str:
    """Asks the run to end and keep its best."""
    from lect.engine.runs.process import stop_run

    stop_run(opened(folder), run_id)
    return notice(words_for(request)("train_stopping"))


def step_back(folder: str, run_id: str, request: gr.Request) -> tuple[Any, ...]:
    """Takes a run out of the queue."""
    project = opened(folder)
    if project.run(run_id).status == "queued":
        project.update_run(run_id, status="created")
    return train_view.of_run(project, run_id, words_for(request))


def go_on(folder: str, run_id: str, request: gr.Request) -> tuple[Any, ...]:
    """Resumes a run that was cut off, or starts one that waits for a click."""
    project = opened(folder)
    if not watch.look(project.run(run_id)).live:
        queue.enqueue(project, run_id)
    return *train_view.of_run(project, run_id, words_for(request)), ""


def tick(folder: str, run_id: str, seen: str, request: gr.Request) -> tuple[Any, Any]:
    """The progress, and the time when the runs stand otherwise than `seen`: a run may fail as it did before, so how
    they stand would not tell it."""
    if not (folder and run_id):
        return gr.skip(), time.time()
    views = train_view.looks(opened(folder))
    same = train_view.standing(views, run_id) == seen
    return run_view.live(train_view.chosen(views, run_id), words_for(request)), gr.skip() if same else time.time()


def refresh(folder: str, run_id: str, request: gr.Request) -> tuple[Any, ...]:
    """All of the step but which run is shown; the clock stops when no run is under way."""
    if not (folder and run_id):
        return *[gr.skip()] * 6, gr.Timer(active=False), *[gr.skip()] * 2
    *parts, _, standing = train_view.of_run(opened(folder), run_id, words_for(request))
    return *parts, standing, header(folder, request)


def pick(run_id: str, folder: str, request: gr.Request) -> tuple[Any, ...]:
    """Shows another run."""
    return *train_view.of_run(opened(folder), run_id, words_for(request)), header(folder, request)
