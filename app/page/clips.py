"""The clips: find, hear, correct, leave out, delete, one or many at once, and undo; and the report on the whole set."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from lect.app.commands.split import describe
from lect.app.page import clip_list, pictures, report
from lect.app.page.clip_list import PAGE
from lect.app.page.events import bind, bind_pick, html_block, in_turn
from lect.app.page.header import show as header
from lect.app.page.markup import card, empty, notice, player, text
from lect.app.page.shared import Page, opened
from lect.app.page.texts import Say, label, words_for
from lect.engine.audio.reading import load_audio
from lect.engine.contract.errors import LectError, UsageError
from lect.engine.data.clips import Clip, Edit
from lect.engine.data.review import review
from lect.engine.data.store import Project

# What can be done with all ticked clips; value: what is chosen beside the button.
ACTIONS: dict[str, Callable[[Project, list[int], str], None]] = {
    "speaker": lambda project, ids, value: project.edit(ids, speaker=value),
    "split": lambda project, ids, value: project.edit(ids, split=value),
    "leave_out": lambda project, ids, value: project.edit(ids, excluded=True),
    "use": lambda project, ids, value: project.edit(ids, excluded=False),
    "delete": lambda project, ids, value: project.delete(ids),
}
IN_TURN = in_turn("clips")
# The last input is what is ticked in the browser.
WITH_TICKED = "(...given) => [...given.slice(0, -1), window.lectTicked()]"


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_clips"), id="clips") as tab:
        chosen, start = gr.State(0), gr.State(0)
        with gr.Row(elem_classes="filters"):
            search = gr.Textbox("", label=label("clips_search"), elem_id="search", scale=3, min_width=200)
            which = gr.Dropdown(
                clip_list.kinds(), value="all", label=label("clips_which"), elem_id="which", min_width=150
            )
            order = gr.Dropdown(
                clip_list.orders(), value="newest", label=label("clips_order"), elem_id="order", min_width=150
            )
        with gr.Accordion(label("clips_report"), open=False, elem_id="report") as check:
            told = html_block(elem_id="set-report", picks=True)
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=3, min_width=320):
                with gr.Row():
                    undo = gr.Button(label("clips_undo"), elem_id="undo", interactive=False)
                    split = gr.Button(label("clips_split"), elem_id="split")
                rows = html_block(elem_id="clips", picks=True)
                pages = html_block(elem_id="pages", picks=True)
                bulk, ticked = _bulk()
            with gr.Column(scale=2, min_width=300):
                said = html_block(elem_id="clips-said")
                view = html_block(elem_id="clip")
                with gr.Column(visible=False) as editor:
                    words = gr.Textbox("", label=label("column_label"), lines=2, elem_id="label", elem_classes="speech")
                    with gr.Row():
                        speaker = gr.Textbox("", label=label("column_speaker"), elem_id="clip-speaker", min_width=120)
                        side = gr.Dropdown(
                            clip_list.sides(), label=label("column_split"), elem_id="clip-split", min_width=120
                        )
                    used = gr.Checkbox(label=label("clips_used"), elem_id="clip-used")
                    with gr.Row():
                        save = gr.Button(label("save"), variant="primary", elem_id="save-clip")
                        delete = gr.Button(label("clips_delete"), variant="stop", elem_id="delete-clip")

    look = [page.project, search, which, order, start]
    listing = [rows, pages, undo, start]
    detail = [view, editor, words, speaker, side, used, chosen]
    changed = [said, *listing, *detail, page.header]

    def filtered(folder: str, wanted: str, kind: str, by: str, request: gr.Request) -> tuple[Any, ...]:
        return show(folder, wanted, kind, by, 0, request)

    bind(tab.select, enter, look, [*listing, *detail, said, told], **IN_TURN)
    for narrowed in (search.change, which.change, order.change):
        bind(narrowed, filtered, look[:-1], listing, trigger_mode="always_last", **IN_TURN)
    bind_pick(pages, turn, look[:-1], listing, **IN_TURN)
    picked = bind_pick(rows, pick, [page.project], detail, **IN_TURN)
    picked.then(None, [], [], js='() => window.lectShow("#clip")', api_visibility="private")
    bind_pick(told, pick, [page.project], detail, **IN_TURN)
    bind(save.click, change, [*look, chosen, words, speaker, side, used], changed, **IN_TURN)
    bind(delete.click, remove, [*look, chosen], changed, **IN_TURN)
    bind(undo.click, take_back, [*look, chosen], changed, **IN_TURN)
    bind(split.click, assign, [*look, chosen], changed, **IN_TURN)
    for name, button, value in bulk:
        bind(button.click, acting(name), [*look, chosen, value, ticked], changed, js=WITH_TICKED, **IN_TURN)
    bind(check.expand, check_set, [page.project], [told], show_progress="minimal")


def _bulk() -> tuple[list[tuple[str, gr.Button, Any]], gr.Textbox]:
    """((action, button, its value)…, what is ticked): seen while clips are ticked."""
    ticked = gr.Textbox("", visible="hidden", elem_id="ticked")
    with gr.Column(elem_id="bulk"):
        with gr.Row(elem_classes="bulk-fields"):
            speaker = gr.Textbox("", label=label("column_speaker"), elem_id="bulk-speaker", min_width=80)
            set_speaker = gr.Button(label("bulk_speaker"), elem_id="bulk-set-speaker")
            side = gr.Dropdown(
                clip_list.sides(), value="train", label=label("column_split"), elem_id="bulk-split", min_width=80
            )
            set_split = gr.Button(label("bulk_split"), elem_id="bulk-set-split")
        with gr.Row(elem_classes="bulk-actions"):
            buttons = [
                (name, gr.Button(label(f"bulk_{name}"), elem_id=f"bulk-{name}", min_width=60), ticked)
                for name in ("leave_out", "use", "delete")
            ]
    return [("speaker", set_speaker, speaker), ("split", set_split, side), *buttons], ticked


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
    return gr.Button(say("clips_undo_what", what=_told(edit, say)), interactive=True)


def _told(edit: Edit, say: Say) -> str:
    """What an action changed, and in how many clips."""
    columns = dict.fromkeys(column for before in edit.before.values() for column in before)
    what = ", ".join(say(f"edit_{column}") for column in columns)
    return f"{what} ({say('count_clips', count=len(edit.before))})"


def enter(folder: str, search: str, which: str, order: str, start: int, request: gr.Request) -> tuple[Any, ...]:
    """(listing…, detail…, said, report) when the step is opened; in one, or a quick click would be cleared away."""
    return *show(folder, search, which, order, start, request), *cleared(folder, words_for(request)), "", ""


def cleared(folder: str, say: Say) -> tuple[Any, ...]:
    """The clip and its fields while none is chosen."""
    hint = f'<p class="muted hint">{text(say("clips_choose"))}</p>' if folder and opened(folder).clips() else ""
    return hint, gr.Column(visible=False), "", "", "", True, 0


def turn(value: str, folder: str, search: str, which: str, order: str, request: gr.Request) -> tuple[Any, ...]:
    """Another page of the list: value is the number of its first clip."""
    return show(folder, search, which, order, int(value), request)


def pick(value: str, folder: str, request: gr.Request) -> tuple[Any, ...]:
    """A click on a clip. It answers with the clip alone: each further output costs the browser milliseconds."""
    return _detail(opened(folder), int(value), words_for(request))


def change(
    folder: str, search: str, which: str, order: str, start: int, chosen: int,
    words: str, speaker: str, side: str, used: bool, request: gr.Request,
) -> tuple[Any, ...]:  # fmt: skip
    """Saves what the fields say of the chosen clip."""
    project, say = opened(folder), words_for(request)
    clip_of(project, chosen)
    project.edit([chosen], text=words.strip(), speaker=speaker, split=side, excluded=not used)
    return after(folder, search, which, order, start, chosen, request, notice(say("saved"), "good"))


def remove(
    folder: str, search: str, which: str, order: str, start: int, chosen: int, request: gr.Request
) -> tuple[Any, ...]:
    """Moves the chosen clip to the trash."""
    opened(folder).delete([chosen])
    said = notice(words_for(request)("clips_deleted"))
    return after(folder, search, which, order, start, chosen, request, said)


def take_back(
    folder: str, search: str, which: str, order: str, start: int, chosen: int, request: gr.Request
) -> tuple[Any, ...]:
    """Takes the last action back, whichever it was."""
    edit, say = opened(folder).undo(), words_for(request)
    said = notice(say("clips_undone", what=_told(edit, say)), "good") if edit else ""
    return after(folder, search, which, order, start, chosen, request, said)


def assign(
    folder: str, search: str, which: str, order: str, start: int, chosen: int, request: gr.Request
) -> tuple[Any, ...]:
    """Splits the clips that have no split."""
    made = opened(folder).assign_splits()
    said = card(words_for(request)("clips_split"), f"<pre>{text(describe(made))}</pre>")
    return after(folder, search, which, order, start, chosen, request, said)


def acting(name: str) -> Callable[..., tuple[Any, ...]]:
    """A handler that does one of ACTIONS with all ticked clips."""

    def act(
        folder: str, search: str, which: str, order: str, start: int, chosen: int,
        value: str, ticked: str, request: gr.Request,
    ) -> tuple[Any, ...]:  # fmt: skip
        project, say = opened(folder), words_for(request)
        ids = clip_list.marked(clip_list.found(project.clips(), search, which, order), ticked)
        ACTIONS[name](project, ids, value)
        said = notice(say("bulk_done", what=say(f"bulk_{name}"), clips=say("count_clips", count=len(ids))), "good")
        return after(folder, search, which, order, start, chosen, request, said)

    return act


def after(
    folder: str, search: str, which: str, order: str, start: int, chosen: int, request: gr.Request, said: str
) -> tuple[Any, ...]:
    """All of the step as it is after a change: (said, listing…, detail…, header)."""
    project, say = opened(folder), words_for(request)
    there = project.clip(chosen) is not None
    detail = _detail(project, chosen, say) if there else cleared(folder, say)
    return said, *show(folder, search, which, order, start, request), *detail, header(folder, request)


def check_set(folder: str, request: gr.Request) -> str:
    """The report on the set."""
    return report.shown(review(opened(folder)), words_for(request))


def clip_of(project: Project, clip_id: int) -> Clip:
    """A clip by number. Raises UsageError when it is gone."""
    found = project.clip(clip_id)
    if found is None:
        raise UsageError("That clip is no longer there: choose another one.")
    return found


def _detail(project: Project, clip_id: int, say: Say) -> tuple[Any, ...]:
    """(view, editor, label, speaker, split, used, chosen)."""
    clip = clip_of(project, clip_id)
    try:
        wave = pictures.waveform(load_audio(clip.path), say("picture_wave"))
    except LectError as error:
        wave = notice(str(error), "bad")
    word = say("word_" + clip.quality.verdict.replace(" ", "_"))
    facts = say("clip_facts", seconds=f"{clip.seconds:.1f}", snr=f"{clip.quality.snr_db:.0f}", verdict=word)
    body = f'{wave}{player(project.folder, clip)}<p class="muted">{text(facts)}</p>'
    shown = card(say("clip_title", number=clip.id), body)
    return shown, gr.Column(visible=True), clip.text, clip.speaker, clip.split, not clip.excluded, clip.id
