"""The clips: find, play, correct, leave out, delete, one or many at once, and undo; and the report on the whole set."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from lect.engine.data.clips import Edit
from lect.engine.data.review import review

from ..commands.split import describe
from . import clip_bulk, clip_detail, clip_list, drafts, report
from .clip_list import PAGE
from .events import Pick, bind, bind_pick, html_block, in_turn
from .header import show as header
from .markup import card, empty, notice, text
from .shared import Page, opened
from .texts import Say, label, words_for

IN_TURN = in_turn("clips")


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_clips"), id="clips", interactive=False) as tab:
        page.needs_project.append(tab)
        start = gr.State(0)
        # In the browser, so that what is typed is always sent with the clip that it is about.
        chosen = gr.Number(0, precision=0, visible="hidden", elem_id="chosen")
        with gr.Row(elem_classes="filters"):
            search = gr.Textbox("", label=label("clips_search"), elem_id="search", scale=3, min_width=200)
            which = gr.Dropdown(
                clip_list.kinds(), value="all", label=label("clips_which"), elem_id="which", min_width=150
            )
            order = gr.Dropdown(
                clip_list.orders(), value="newest", label=label("clips_order"), elem_id="order", min_width=150
            )
        with gr.Accordion(label("clips_report"), open=False, elem_id="report") as check:
            findings = html_block(elem_id="set-report", picks=True)
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=3, min_width=320):
                with gr.Row():
                    undo = gr.Button(label("clips_undo"), elem_id="undo", interactive=False)
                    split = gr.Button(label("clips_split"), elem_id="split")
                rows = html_block(elem_id="clips", picks=True)
                pages = html_block(elem_id="pages", picks=True)
                bulk, ticked = clip_bulk.buttons()
            with gr.Column(scale=2, min_width=300, elem_id="clip-side"):
                message = html_block(elem_id="clips-message")
                view = html_block(elem_id="clip", picks=True)
                with gr.Column(visible=False) as editor:
                    fields = clip_detail.fields()
                    with gr.Row():
                        save = gr.Button(label("save"), variant="primary", elem_id="save-clip")
                        delete = gr.Button(label("clips_delete"), variant="stop", elem_id="delete-clip")

    look = [page.project, search, which, order, start]
    listing = [rows, pages, undo, start]
    detail = [view, editor, *fields, chosen]
    changed = [message, *listing, *detail, page.header]

    def filtered(folder: str, wanted: str, kind: str, by: str, request: gr.Request) -> tuple[Any, ...]:
        return show(folder, wanted, kind, by, 0, request)

    bind(tab.select, enter, look, [*listing, *detail, message, findings], **IN_TURN)
    for narrowed in (search.change, which.change, order.change):
        bind(narrowed, filtered, look[:-1], listing, trigger_mode="always_last", **IN_TURN)
    bind_pick(pages, turn, look[:-1], listing, **IN_TURN)
    picked = bind_pick(rows, pick, [page.project, chosen], detail, **IN_TURN)
    picked.then(None, [], [], js='() => window.lectShow("#clip")', api_visibility="private")
    bind_pick(findings, pick, [page.project, chosen], detail, **IN_TURN)
    for field in fields:
        bind(field.input, keep_draft, [page.project, chosen, *fields], [], trigger_mode="always_last", **IN_TURN)
    bind_pick(view, clip_picked, [page.project, chosen], detail, **IN_TURN)
    bind(save.click, change, [*look, chosen, *fields], changed, **IN_TURN)
    bind(delete.click, remove, [*look, chosen], changed, **IN_TURN)
    bind(undo.click, take_back, [*look, chosen], changed, **IN_TURN)
    bind(split.click, assign, [*look, chosen], changed, **IN_TURN)
    for name, button, value in bulk:
        bind(button.click, acting(name), [*look, chosen, value, ticked], changed, js=clip_bulk.WITH_TICKED, **IN_TURN)
    bind(check.expand, check_set, [page.project], [findings], show_progress="minimal")


def show(folder: str, search: str, which: str, order: str, start: int, request: gr.Request) -> tuple[Any, ...]:
    """(rows, pages, undo button, start)."""
    say = words_for(request)
    if not folder:
        return empty(say("no_project"), say("tab_project"), "project"), "", gr.Button(interactive=False), 0
    project = opened(folder)
    everything, undo = project.clips(), _undo_button(project.last_edit(), say)
    if not everything:
        return empty(say("clips_none"), say("tab_record"), "record"), "", undo, 0
    clips = clip_list.found(everything, search, which, order)
    start = min(start, max(0, len(clips) - 1) // PAGE * PAGE)
    rows = clip_list.listed(project, clips, len(everything), start, f"{which} {search}", say)
    return rows, clip_list.pages(len(clips), start, say), undo, start


def _undo_button(edit: Edit | None, say: Say) -> gr.Button:
    if edit is None:
        return gr.Button(say("clips_undo"), interactive=False)
    return gr.Button(say("clips_undo_what", what=_described(edit, say)), interactive=True)


def _described(edit: Edit, say: Say) -> str:
    """What an action changed, and in how many clips."""
    columns = dict.fromkeys(column for before in edit.before.values() for column in before)
    what = ", ".join(say(f"edit_{column}") for column in columns)
    return f"{what} ({say('count_clips', count=len(edit.before))})"


def enter(folder: str, search: str, which: str, order: str, start: int, request: gr.Request) -> tuple[Any, ...]:
    """(listing…, detail…, message, report) when the step is opened; in one, or a quick click would be cleared away."""
    return (
        *show(folder, search, which, order, start, request),
        *clip_detail.without_clip(opened(folder) if folder else None, words_for(request)),
        "",
        "",
    )


def turn(value: str, folder: str, search: str, which: str, order: str, request: gr.Request) -> tuple[Any, ...]:
    """Another page of the list: value is the number of its first clip."""
    return show(folder, search, which, order, int(value), request)


def pick(value: str, folder: str, chosen: int, request: gr.Request) -> tuple[Any, ...]:
    """A click on a clip. It answers with the clip alone: each further output costs the browser milliseconds."""
    view, editor, *fields = clip_detail.of_clip(opened(folder), int(value), words_for(request))
    return view, gr.skip() if chosen else editor, *fields


def keep_draft(folder: str, chosen: int, words: str, speaker: str, side: str, used: bool) -> None:
    """Keeps what the fields say of a clip until it is saved."""
    project = opened(folder)
    if clip := project.clip(chosen):
        given, saved = [words, speaker, side, used], clip_detail.saved(clip)
        drafts.put(project, clip_detail.draft_name(chosen), None if given == saved else given)


def clip_picked(value: Pick, folder: str, chosen: int, request: gr.Request) -> tuple[Any, ...]:
    """Forgets what was typed of a clip, or leaves the clip."""
    project, say = opened(folder), words_for(request)
    if value == "close":
        return clip_detail.without_clip(project, say)
    drafts.put(project, clip_detail.draft_name(chosen), None)
    return clip_detail.of_clip(project, chosen, say)


def change(
    folder: str, search: str, which: str, order: str, start: int, chosen: int,
    words: str, speaker: str, side: str, used: bool, request: gr.Request,
) -> tuple[Any, ...]:  # fmt: skip
    """Saves what the fields say of the chosen clip."""
    project, say = opened(folder), words_for(request)
    clip_detail.clip_of(project, chosen)
    project.edit([chosen], text=words.strip(), speaker=speaker, split=side, excluded=not used)
    drafts.put(project, clip_detail.draft_name(chosen), None)
    return after(folder, search, which, order, start, chosen, request, notice(say("saved"), "good"))


def remove(
    folder: str, search: str, which: str, order: str, start: int, chosen: int, request: gr.Request
) -> tuple[Any, ...]:
    """Moves the chosen clip to the trash."""
    opened(folder).delete([chosen])
    message = notice(words_for(request)("clips_deleted"))
    return after(folder, search, which, order, start, chosen, request, message)


def take_back(
    folder: str, search: str, which: str, order: str, start: int, chosen: int, request: gr.Request
) -> tuple[Any, ...]:
    """Takes the last action back, whichever it was."""
    edit, say = opened(folder).undo(), words_for(request)
    message = notice(say("clips_undone", what=_described(edit, say)), "good") if edit else ""
    return after(folder, search, which, order, start, chosen, request, message)


def assign(
    folder: str, search: str, which: str, order: str, start: int, chosen: int, request: gr.Request
) -> tuple[Any, ...]:
    """Splits the clips that have no split."""
    made = opened(folder).assign_splits()
    message = card(words_for(request)("clips_split"), f"<pre>{text(describe(made))}</pre>")
    return after(folder, search, which, order, start, chosen, request, message)


def acting(name: str) -> Callable[..., tuple[Any, ...]]:
    """A handler that does one of the ACTIONS with all ticked clips."""

    def act(
        folder: str, search: str, which: str, order: str, start: int, chosen: int,
        value: str, ticked: str, request: gr.Request,
    ) -> tuple[Any, ...]:  # fmt: skip
        project, say = opened(folder), words_for(request)
        ids = clip_list.marked(clip_list.found(project.clips(), search, which, order), ticked)
        clip_bulk.ACTIONS[name](project, ids, value)
        message = notice(say("bulk_done", what=say(f"bulk_{name}"), clips=say("count_clips", count=len(ids))), "good")
        return after(folder, search, which, order, start, chosen, request, message)

    return act


def after(
    folder: str, search: str, which: str, order: str, start: int, chosen: int, request: gr.Request, message: str
) -> tuple[Any, ...]:
    """All of the step as it is after a change: (message, listing…, detail…, header)."""
    project, say = opened(folder), words_for(request)
    there = project.clip(chosen) is not None
    detail = clip_detail.of_clip(project, chosen, say) if there else clip_detail.without_clip(project, say)
    return message, *show(folder, search, which, order, start, request), *detail, header(folder, request)


def check_set(folder: str, request: gr.Request) -> str:
    """The report on the set."""
    return report.shown(review(opened(folder)), words_for(request))
