"""Training: choose, start, watch, stop and keep the best. The training is a process of its own; the page only looks."""

import json
import shlex
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from lect.app.output import duration
from lect.app.page import run_view, watch
from lect.app.page.events import bind, bind_pick, html_block, in_turn
from lect.app.page.header import show as header
from lect.app.page.markup import card, chips, empty, notice, text
from lect.app.page.shared import Page, opened
from lect.app.page.texts import Say, label, words_for
from lect.engine.contract.errors import TrainError
from lect.engine.contract.run_request import STARTER
from lect.engine.contract.subprocesses import module_command
from lect.engine.data.store import Project
from lect.engine.model.backbone import backbone_folders
from lect.engine.runs import queue

POLL_S = 1.0
METHODS = ("prompt", "adapter", "lora", "vocabulary", "finetune")
EFFORTS = {"quick": "200", "usual": "", "long": "3000"}  # optimiser steps; "" is by the size of the set
IN_TURN = in_turn("train")
DEVICES = ("auto", "cpu", "cuda", "mps")
# Fields of the expert drawer: an option of `lect train` each.
EXPERT = (
    "vocabulary", "placement", "num-virtual-tokens", "rank", "on", "finetune-layers", "max-steps", "learning-rate",
    "vocabulary-learning-rate", "per-device-train-batch-size", "copies", "early-stopping-patience", "ctc-weight",
    "language-model-weight", "seed",
)  # fmt: skip


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_train"), id="train") as tab:
        shown, seen = gr.State(""), gr.State("")  # a run's number; it again, and how all runs stood, as last shown
        changed = gr.State(0.0)  # when the clock last found that they stand otherwise
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=2, min_width=300):
                choices = _choices()
                with gr.Row():
                    start = gr.Button(label("train_start"), variant="primary", elem_id="start")
                    guess = gr.Button(label("train_estimate"), elem_id="estimate")
                said = html_block(elem_id="train-said")
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
    bind(tab.select, show, [page.project], [*view, choices[2]], **IN_TURN)
    bind(start.click, begin, choice, [*view, said, page.header], **IN_TURN)
    bind(guess.click, tell_time, choice, [said])
    bind(stop.click, end, at, [said], **IN_TURN)
    bind(leave.click, step_back, at, view, **IN_TURN)
    bind(resume.click, go_on, at, [*view, said], **IN_TURN)
    # Every output costs the browser milliseconds, so a tick has but two. The rest is filled when a run's state changes;
    # what was under way when another run was chosen must not choose back, so that leaves `shown` alone.
    bind(clock.tick, tick, [*at, seen], [live, changed], trigger_mode="once", **IN_TURN)
    bind(changed.change, refresh, at, [*(each for each in view if each is not shown), page.header], **IN_TURN)
    bind_pick(runs, pick, [page.project], [*view, page.header], **IN_TURN)


def _choices() -> list[Any]:
    """Method, effort, backbone, device, a file of further texts, and the fields of EXPERT."""
    method = gr.Radio(_named("method", METHODS), value="prompt", label=label("train_method"), elem_id="method")
    effort = gr.Radio(_named("effort", tuple(EFFORTS)), value="usual", label=label("train_effort"), elem_id="effort")
    with gr.Accordion(label("train_texts_title"), open=False, elem_id="further"):
        further = gr.File(label=label("train_texts_file"), file_types=["text"], elem_id="further-texts", height=150)
    with gr.Accordion(label("train_expert"), open=False, elem_id="expert"):
        backbone = gr.Dropdown([], label=label("train_backbone"), elem_id="backbone")
        device = gr.Dropdown(DEVICES, value="auto", label=label("train_device"), elem_id="device")
        with gr.Row():
            fields = [
                gr.Textbox("", label=f"--{name}", elem_id=f"expert-{name}", min_width=160, placeholder="auto")
                for name in EXPERT
            ]
    return [method, effort, backbone, device, further, *fields]


def show(folder: str, request: gr.Request) -> tuple[Any, ...]:
    """The step as it is when it is opened: the latest run, and what a new one needs."""
    say = words_for(request)
    if not folder:
        return *_still(empty(say("no_project"), say("tab_project"), "project"), ready=False), gr.skip()
    project = opened(folder)
    latest = project.runs()[-1:]
    return *_view(project, latest[0].id if latest else "", say), _backbones()


def begin(request: gr.Request, folder: str, *choices: Any) -> tuple[Any, ...]:
    """Starts a run with what was chosen, or lets it wait for the one that trains."""
    from lect.engine.runs.preparation import create_run

    project, say = opened(folder), words_for(request)
    arguments = options(*choices)
    run_id = create_run(project, _request(arguments))
    queue.enqueue(project, run_id)
    same = f'<p class="muted">{text(say("train_command"))} <code>lect train {text(shlex.join(arguments))}</code></p>'
    return *_view(project, run_id, say), same, header(folder, request)


def options(method: str, effort: str, backbone: str, device: str, texts: str | None, *expert: str) -> list[str]:
    """The choices, in the order of `_choices`, as options of `lect train`."""
    chosen = {"backbone": backbone or STARTER, "method": method, "device": device, "max-steps": EFFORTS[effort]}
    chosen |= {"texts": texts or ""}
    chosen |= {name: value.strip() for name, value in zip(EXPERT, expert, strict=True) if value and value.strip()}
    return [part for name, value in chosen.items() if value for part in (f"--{name}", value)]


def tell_time(request: gr.Request, folder: str, *choices: Any) -> Iterator[str]:
    """What a run with these choices would take, measured on this machine in a process of its own."""
    say = words_for(request)
    asked = _request(options(*choices))
    yield notice(say("estimate_measuring"))
    command = module_command("lect.engine.runs.estimate", str(opened(folder).folder))
    asking = subprocess.run(command, input=json.dumps(asked.to_json()), capture_output=True, text=True)
    told = json.loads(asking.stdout or '{"error": ""}')
    if "error" in told:
        raise TrainError(told["error"] or say("estimate_failed"))
    facts = {key: say(f"count_{key}", count=told[key]) for key in ("steps", "clips")}
    facts |= {key: told[key] for key in ("device", "precision")}
    yield notice(say("estimate_told", length=duration(told["seconds"]), **facts))


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
    return _view(project, run_id, words_for(request))


def go_on(folder: str, run_id: str, request: gr.Request) -> tuple[Any, ...]:
    """Resumes a run that was cut off, or starts one that waits for a click."""
    project = opened(folder)
    if not watch.look(project.run(run_id)).live:
        queue.enqueue(project, run_id)
    return *_view(project, run_id, words_for(request)), ""


def tick(folder: str, run_id: str, seen: str, request: gr.Request) -> tuple[Any, Any]:
    """The progress, and the time when the runs stand otherwise than `seen`: a run may fail as it did before, so how
    they stand would not tell it."""
    if not (folder and run_id):
        return gr.skip(), time.time()
    views = _looks(opened(folder))
    same = _standing(views, run_id) == seen
    return run_view.live(_chosen(views, run_id), words_for(request)), gr.skip() if same else time.time()


def refresh(folder: str, run_id: str, request: gr.Request) -> tuple[Any, ...]:
    """All of the step but which run is shown; the clock stops when no run is under way."""
    if not (folder and run_id):
        return *[gr.skip()] * 6, gr.Timer(active=False), *[gr.skip()] * 2
    *parts, _, standing = _view(opened(folder), run_id, words_for(request))
    return *parts, standing, header(folder, request)


def pick(run_id: str, folder: str, request: gr.Request) -> tuple[Any, ...]:
    """Shows another run."""
    return *_view(opened(folder), run_id, words_for(request)), header(folder, request)


def _request(arguments: list[str]) -> Any:
    from lect.app.cli import parser_for
    from lect.app.commands.train import request_of

    return request_of(parser_for("train").parse_args(arguments))


def _looks(project: Project) -> list[watch.View]:
    """All runs as they stand; what waits although nothing trains is started."""
    views = [watch.look(run) for run in project.runs()]
    if any(view.phase == "queued" for view in views) and not any(view.live for view in views):
        queue.start_next(project)
        views = [watch.look(run) for run in project.runs()]
    return views


def _standing(views: list[watch.View], shown: str) -> str:
    return " ".join([shown, *(f"{view.run.id}:{view.phase}" for view in views)])


def _chosen(views: list[watch.View], run_id: str) -> watch.View:
    return next(view for view in views if view.run.id == run_id)


def _view(project: Project, run_id: str, say: Say) -> tuple[Any, ...]:
    """(live, runs, start, stop, leave, resume, clock, shown, seen)."""
    if not run_id:
        return _still(_readiness(project, say), ready=True)
    views = _looks(project)
    view = _chosen(views, run_id)
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
        _standing(views, run_id),
    )


def _still(told: str, ready: bool) -> tuple[Any, ...]:
    """What `_view` gives while there is no run."""
    hidden = [gr.Button(visible=False)] * 3
    return told, "", gr.Button(interactive=ready), *hidden, gr.Timer(active=False), "", ""


def _readiness(project: Project, say: Say) -> str:
    good = project.clips(usable_only=True)
    if not good:
        return empty(say("train_no_clips"), say("tab_record"), "record")
    seconds = sum(clip.seconds for clip in good)
    figures = chips([(str(len(good)), say("fact_clips", count=len(good))), (duration(seconds), say("fact_length"))])
    return card(say("train_ready"), figures + notice(say("train_ready_text")))


def _named(prefix: str, names: tuple[str, ...]) -> list[tuple[Any, str]]:
    return [(label(f"{prefix}_{name}"), name) for name in names]


def _backbones() -> gr.Dropdown:
    names = [folder.name for folder in backbone_folders()]
    value = STARTER if STARTER in names else next(iter(names), None)
    return gr.Dropdown(names, value=value)
