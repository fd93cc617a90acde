"""Training: choose, start, watch, stop and keep the best. The training is a process of its own; the page only looks."""

import shlex
import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from lect.engine.contract.errors import LectError
from lect.engine.runs import queue

from ..train_options import arguments
from . import estimates, found_whispers, guessing, packing, run_view, train_form, train_view, watch
from .events import bind, bind_pick, html_block, in_turn
from .header import show as header
from .markup import empty, notice, text
from .messages import in_words
from .shared import Page, opened
from .texts import duration, label, words_for

POLL_S = 1.0
IN_TURN = in_turn("train")


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_train"), id="train", interactive=False) as tab:
        page.needs_project.append(tab)
        shown, seen = gr.State(""), gr.State("")  # a run's number; it again, and how all runs stood, as last shown
        begun = gr.State(None)  # what came of recordings that nobody has written down
        changed = gr.State(0.0)  # when the clock last found that they stand otherwise
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=2, min_width=300):
                planned = html_block(elem_id="plan")
                choices = train_form.choices()
                untranscribed = guessing.build()
                added = found_whispers.build(page, "train")
                expected = html_block(elem_id="estimate")
                start = gr.Button(label("train_start"), variant="primary", elem_id="start")
                message = html_block(elem_id="train-message")
                runs = html_block(elem_id="runs", picks=True)
            with gr.Column(scale=3, min_width=320, elem_classes="first"):
                live = html_block(elem_id="live", picks=True)
                with gr.Row():
                    stop = gr.Button(label("train_stop"), variant="stop", elem_id="stop", visible=False)
                    leave = gr.Button(label("train_leave"), elem_id="leave", visible=False)
                    resume = gr.Button(label("train_resume"), elem_id="resume", visible=False)
        clock = gr.Timer(POLL_S, active=False)

    view = [live, runs, start, stop, leave, resume, clock, shown, seen]
    choice = [page.project, *choices]
    at = [page.project, shown]
    method, backbone, vocabulary = choices[0], choices[2], choices[4]
    shown_first = bind(
        tab.select, show, [page.project, backbone, shown], [*view, backbone, expected, message], **IN_TURN
    )
    asked = [choice, [expected]]
    bind(shown_first.then, estimate, *asked)
    for changed_choice in train_form.changes(choices):
        bind(changed_choice, estimate, *asked, trigger_mode="multiple")
    bind(page.tabs.select, away, [], [])
    for field in choices[-len(train_form.FIELDS) :]:
        bind(field.input, check, choice, [message], trigger_mode="always_last")  # no late estimate hides it
    bind(page.project.change, choose_backbone, [page.project], [backbone, expected, message, shown])
    for trigger in added:
        bind(trigger, offer_backbones, [page.project, backbone], [backbone])
    for decides in (tab.select, method.change, backbone.change, vocabulary.change):
        bind(decides, plan, [page.project, method, backbone, vocabulary], [planned])
    # Not in turn, for it may take minutes; where no recordings are chosen it does nothing.
    written = bind(start.click, guessing.write, [page.project, untranscribed[1], *choices], [message, begun])
    filled = [*view, expected, message, page.header, untranscribed[1]]
    bind(written.success, begin, [page.project, begun, *choices], filled, **IN_TURN)
    for trigger in (tab.select, page.project.change, changed.change):
        bind(trigger, guessing.offer, [page.project], untranscribed)
    bind(stop.click, end, at, [message], **IN_TURN)
    bind(leave.click, step_back, at, view, **IN_TURN)
    bind(resume.click, go_on, at, [*view, message], **IN_TURN)
    # Every output costs the browser milliseconds, so a tick has but two. The rest is filled when a run's state changes;
    # what was under way when another run was chosen must not choose back, so that leaves `shown` alone.
    bind(clock.tick, tick, [*at, seen], [live, changed], trigger_mode="once", **IN_TURN)
    bind(changed.change, refresh, at, [*(each for each in view if each is not shown), page.header], **IN_TURN)
    bind_pick(runs, pick, [page.project], [*view, page.header], **IN_TURN)
    tried = bind_pick(live, try_it, [page.project], [message, page.header], **IN_TURN)
    tried.success(None, js='() => window.lectOpen("transcribe", true)', api_visibility="private")


def show(folder: str, backbone: str | None, shown: str, request: gr.Request) -> tuple[Any, ...]:
    """The step as it is when it is opened: the run that trains, else the one that was shown, else the latest; and what
    a new one needs."""
    say = words_for(request)
    if not folder:
        nothing = empty(say("no_project"), say("tab_project"), "project")
        return *train_view.without_run(nothing, ready=False), offer_backbones(folder, backbone, request), "", ""
    project = opened(folder)
    views = train_view.looks(project)
    first = next((view.run.id for view in views if view.live), "") or shown
    run_id = first if first in {view.run.id for view in views} else views[-1].run.id if views else ""
    return *train_view.of_run(project, run_id, say), offer_backbones(folder, backbone, request), "", ""


def choose_backbone(folder: str, request: gr.Request) -> tuple[Any, ...]:
    """(the backbones, with the one that suits the project's language chosen; no estimate and no run of another)."""
    return offer_backbones(folder, None, request), "", "", ""


def offer_backbones(folder: str, chosen: str | None, request: gr.Request) -> gr.Radio:
    """The backbones, with this one chosen if it is there."""
    return train_form.backbones(opened(folder).language if folder else "", chosen, words_for(request))


def plan(folder: str, method: Any, backbone: str | None, vocabulary: Any, request: gr.Request) -> str:
    """What will be trained."""
    if not folder or not opened(folder).clips(usable_only=True):
        return ""
    return notice(train_form.plan(opened(folder), method, backbone, vocabulary, words_for(request)))


def begin(request: gr.Request, folder: str, begun: guessing.Begun | None, *choices: Any) -> tuple[Any, ...]:
    """Starts a run with what was chosen, or lets it wait for the one that trains; shows the one that has `begun`."""
    from lect.engine.runs.preparation import create_run

    if begun and not (begun.run and begun.folder == folder):  # that it failed is said already
        return (*[gr.skip()] * 13,)
    project, say = opened(folder), words_for(request)
    estimates.forget()
    try:
        asked = begun.asked if begun else train_form.for_project(train_form.request(*choices), project)
        run_id = begun.run if begun else create_run(project, asked)
    except LectError as error:  # in place: the button is beside it
        return *[gr.skip()] * 9, "", notice(train_form.why(error, say), "bad"), *[gr.skip()] * 2
    if not begun:
        queue.enqueue(project, run_id)
    command = shlex.join(["lect", "train", *arguments(asked), *(begun.options if begun else ())])
    same = f'<p class="muted">{text(say("train_command"))} <code>{text(command)}</code></p>'
    shown, chosen = train_view.of_run(project, run_id, say), gr.File(value=None) if begun else gr.skip()
    return *shown, "", (begun.said if begun else "") + same, header(folder, request), chosen


def estimate(request: gr.Request, folder: str, *choices: Any) -> Iterator[Any]:
    """What a run with these choices would take, measured on this machine; nothing while one trains, or cannot start."""
    say = words_for(request)
    if not folder or any(view.live for view in train_view.looks(opened(folder))):
        return
    project = opened(folder)
    try:
        asked = train_form.for_project(train_form.request(*choices), project)
    except LectError as error:
        yield notice(train_form.why(error, say), "warn")
        return
    if not project.clips(usable_only=True):
        return
    yield notice(say("estimate_measuring"))
    found = estimates.measured(project, asked)
    if found is None:
        return
    if "error" in found:
        yield notice(in_words(found["error"], say) or say("estimate_failed"), "warn")
        return
    facts = {key: say(f"count_{key}", count=found[key]) for key in ("steps", "clips")}
    facts |= {key: found[key] for key in ("device", "precision")}
    yield notice(say("estimate_result", length=duration(found["seconds"], say), **facts))


def away(event: gr.EventData) -> None:
    """Measures nothing for a step that is no longer looked at."""
    if event._data.get("id") != "train":
        estimates.forget()


def check(request: gr.Request, folder: str, *choices: Any) -> str:
    """What is wrong with what is being written, if anything."""
    say = words_for(request)
    try:
        train_form.request(*choices)
    except LectError as error:
        return notice(train_form.why(error, say), "warn")
    return ""


def try_it(picked: str, folder: str, request: gr.Request) -> tuple[Any, ...]:
    """Makes the run's pack, if it has none, to transcribe with."""
    project = opened(folder)
    packing.packed(project, project.run(picked.removeprefix("try:")))
    return "", header(folder, request)


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
