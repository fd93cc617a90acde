"""Training: choose, start, watch, stop and keep the best. The training is a process of its own; the page only looks."""

import shlex
from typing import Any

import gradio as gr

from app.output import duration, percent
from app.page import pictures, watch
from app.page.events import bind, bind_pick, html_block
from app.page.header import show as header
from app.page.markup import card, chips, empty, meter, notice, speech, table, text
from app.page.shared import Page, opened
from app.page.texts import Say, label, words_for
from app.page.watch import View
from engine.backbone import STARTER, backbone_folders
from engine.clips import Run
from engine.errors import UsageError
from engine.store import Project

POLL_S = 1.0
METHODS = ("prompt", "adapter", "vocabulary", "finetune")
EFFORTS = {"quick": "200", "usual": "", "long": "3000"}  # optimiser steps; "" is by the size of the set
DEVICES = ("auto", "cpu", "cuda", "mps")
# Fields of the expert drawer: an option of `lect train` each.
EXPERT = (
    "placement", "num-virtual-tokens", "rank", "finetune-layers", "max-steps", "learning-rate",
    "vocabulary-learning-rate", "per-device-train-batch-size", "copies", "early-stopping-patience", "ctc-weight",
    "seed",
)  # fmt: skip


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_train"), id="train") as tab:
        shown, phase = gr.State(""), gr.State("")  # a run's number, and its phase as it was last shown
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=2, min_width=300):
                method = gr.Radio(
                    _choices("method", METHODS), value="prompt", label=label("train_method"), elem_id="method"
                )
                effort = gr.Radio(
                    _choices("effort", tuple(EFFORTS)), value="usual", label=label("train_effort"), elem_id="effort"
                )
                with gr.Accordion(label("train_expert"), open=False, elem_id="expert"):
                    backbone = gr.Dropdown([], label=label("train_backbone"), elem_id="backbone")
                    device = gr.Dropdown(DEVICES, value="auto", label=label("train_device"), elem_id="device")
                    fields = [
                        gr.Textbox("", label=f"--{name}", elem_id=f"expert-{name}", min_width=140, placeholder="auto")
                        for name in EXPERT
                    ]
                with gr.Row():
                    start = gr.Button(label("train_start"), variant="primary", elem_id="start")
                    stop = gr.Button(label("train_stop"), variant="stop", elem_id="stop", visible=False)
                    resume = gr.Button(label("train_resume"), elem_id="resume", visible=False)
                said = html_block(elem_id="train-said")
                runs = html_block(elem_id="runs", picks=True)
            with gr.Column(scale=3, min_width=320):
                live = html_block(elem_id="live", picks=True)
        clock = gr.Timer(POLL_S, active=False)

    view = [live, runs, start, stop, resume, clock, shown, phase]
    choice = [page.project, method, effort, backbone, device, *fields]
    bind(tab.select, show, [page.project], [*view, backbone])
    bind(start.click, begin, choice, [*view, said, page.header])
    bind(stop.click, end, [page.project, shown], [said])
    bind(resume.click, go_on, [page.project, shown], [*view, said])
    bind(clock.tick, tick, [page.project, shown, phase], [*view, page.header], trigger_mode="once")
    bind_pick(runs, pick, [page.project], view)
    page.leads(live)


def show(folder: str, request: gr.Request) -> tuple[Any, ...]:
    """The step as it is when it is opened: the latest run, and what a new one needs."""
    say = words_for(request)
    if not folder:
        return *_still(empty(say("no_project"), say("tab_project"), "project"), ready=False), gr.skip()
    project = opened(folder)
    latest = project.runs()[-1:]
    return *_view(project, latest[0].id if latest else "", say), _backbones()


def begin(
    request: gr.Request, folder: str, method: str, effort: str, backbone: str, device: str, *expert: str
) -> tuple[Any, ...]:
    """Starts a run with what was chosen."""
    from engine.runs import create_run

    project, say = opened(folder), words_for(request)
    if training := next((run for run in project.runs() if watch.look(run).live), None):
        raise UsageError(f"Run {training.id} is training: wait for it, or stop it first.")
    arguments = options(method, effort, backbone, device, list(expert))
    run_id = create_run(project, _request(arguments))
    _start(project, run_id)
    same = f'<p class="muted">{text(say("train_command"))} <code>lect train {text(shlex.join(arguments))}</code></p>'
    return *_view(project, run_id, say), same, header(folder, request)


def options(method: str, effort: str, backbone: str, device: str, expert: list[str]) -> list[str]:
    """The choices as options of `lect train`."""
    chosen = {"backbone": backbone or STARTER, "method": method, "device": device, "max-steps": EFFORTS[effort]}
    chosen |= {name: value.strip() for name, value in zip(EXPERT, expert, strict=True) if value and value.strip()}
    return [part for name, value in chosen.items() if value for part in (f"--{name}", value)]


def end(folder: str, run_id: str, request: gr.Request) -> str:
    """Asks the run to end and keep its best."""
    from engine.runs import stop_run

    stop_run(opened(folder), run_id)
    return notice(words_for(request)("train_stopping"))


def go_on(folder: str, run_id: str, request: gr.Request) -> tuple[Any, ...]:
    """Resumes a run that was cut off."""
    project = opened(folder)
    if not watch.look(project.run(run_id)).live:
        _start(project, run_id)
    return *_view(project, run_id, words_for(request)), ""


def tick(folder: str, run_id: str, phase: str, request: gr.Request) -> tuple[Any, ...]:
    """What has changed since; the clock stops when the run has ended."""
    if not (folder and run_id):
        return *[gr.skip()] * 5, gr.Timer(active=False), *[gr.skip()] * 3
    project = opened(folder)
    view = watch.look(project.run(run_id))
    if view.live and view.phase == phase:  # then nothing but the progress has changed
        return _live(view, words_for(request)), *[gr.skip()] * 8
    return *_view(project, run_id, words_for(request)), header(folder, request)


def pick(run_id: str, folder: str, request: gr.Request) -> tuple[Any, ...]:
    """Shows another run."""
    return _view(opened(folder), run_id, words_for(request))


def _start(project: Project, run_id: str) -> None:
    """Starts or resumes a run; that it trains is known at once, and not only when its process has loaded everything."""
    from engine.runs import start_run

    process = start_run(project, run_id)
    project.update_run(run_id, status="training", pid=process.pid)


def _request(arguments: list[str]) -> Any:
    from app.cli import parser_for
    from app.commands.train import request_of

    return request_of(parser_for("train").parse_args(arguments))


def _view(project: Project, run_id: str, say: Say) -> tuple[Any, ...]:
    """(live, runs, start, stop, resume, clock, shown, phase)."""
    if not run_id:
        return _still(_readiness(project, say), ready=True)
    view = watch.look(project.run(run_id))
    resumable = view.phase in ("interrupted", "failed")
    return (
        _live(view, say),
        _runs(project.runs(), run_id, say),
        gr.Button(interactive=not view.live),
        gr.Button(visible=view.phase in ("features", "training")),
        gr.Button(visible=resumable),
        gr.Timer(active=view.live),
        run_id,
        view.phase,
    )


def _still(told: str, ready: bool) -> tuple[Any, ...]:
    """What `_view` gives while there is no run."""
    hidden = gr.Button(visible=False)
    return told, "", gr.Button(interactive=ready), hidden, hidden, gr.Timer(active=False), "", ""


def _readiness(project: Project, say: Say) -> str:
    from engine.quality import usable

    good = [clip for clip in project.clips() if usable(clip.quality)]
    if not good:
        return empty(say("train_no_clips"), say("tab_record"), "record")
    seconds = sum(clip.seconds for clip in good)
    return card(
        say("train_ready"),
        chips([(str(len(good)), say("fact_clips")), (duration(seconds), say("fact_length"))])
        + notice(say("train_ready_text")),
    )


def _live(view: View, say: Say) -> str:
    parts = [_progress(view, say)]
    if "start" in view.last:
        parts.append(f'<p class="muted">{text(_facts(view.last["start"], say))}</p>')
    if view.rates:
        base = view.last.get("base", {}).get("dev_cer")
        parts.append(pictures.chart(view.rates, view.steps, say("curve_cer"), base=base, percent=True))
    if view.losses:
        parts.append(pictures.chart(view.losses, view.steps, say("curve_loss")))
    if texts := view.last.get("evaluation", {}).get("texts"):
        rows = [(speech(one["label"]), speech(one["text"])) for one in texts]
        parts.append(
            table(
                [say("column_label"), say("column_heard")],
                rows,
                say("train_texts", step=view.last["evaluation"]["step"]),
            )
        )
    return card(say("run_title", number=view.run.id), "".join(parts))


def _progress(view: View, say: Say) -> str:
    if view.phase == "features":
        at = view.last["features"]
        return meter(at["done"] / at["total"], say("phase_features", done=at["done"], total=at["total"]))
    if view.phase == "training":
        left = duration(view.last["step"]["seconds_left"])
        return meter(view.step / view.steps, say("phase_training", step=view.step, total=view.steps, left=left))
    if view.phase == "failed":
        return notice(view.message or say("phase_failed"), "bad")
    if view.phase == "interrupted":
        return notice(say("phase_interrupted"), "warn")
    if view.phase == "done":
        facts = view.run.facts
        told = say("phase_done", step=facts.get("best_step", "?"), length=duration(facts.get("seconds", 0)))
        more = f'<button class="act primary" data-pick="results">{text(say("tab_results"))} →</button>'
        return notice(told, "good") + more
    return meter(1 if view.phase == "scoring" else 0, say(f"phase_{view.phase}"))


def _facts(start: dict[str, Any], say: Say) -> str:
    return say(
        "train_facts",
        method=say("method_" + start["settings"]["spec"]["method"]),
        clips=start["train_clips"],
        length=duration(start["train_seconds"]),
        numbers=f"{start['trained_parameters']:,}",
        device=start["device"],
        precision=start["precision"],
    )


def _runs(runs: list[Run], shown: str, say: Say) -> str:
    rows = []
    for run in reversed(runs):
        view = watch.look(run)
        rate = min((rate for _, rate in view.rates), default=None)
        mark = ' aria-current="true"' if run.id == shown else ""
        name = f'<button class="link" data-pick="{run.id}"{mark}>{run.id}</button>'
        method = text(say("method_" + run.method))
        rows.append((name, method, text(say(f"state_{view.phase}")), percent(rate) if rate is not None else "–"))
    headings = [say("column_run"), say("train_method"), say("column_state"), say("column_best")]
    return table(headings, rows, say("train_runs"), numbers=(3,))


def _choices(prefix: str, names: tuple[str, ...]) -> list[tuple[Any, str]]:
    return [(label(f"{prefix}_{name}"), name) for name in names]


def _backbones() -> gr.Dropdown:
    names = [folder.name for folder in backbone_folders()]
    value = STARTER if STARTER in names else next(iter(names), None)
    return gr.Dropdown(names, value=value)
