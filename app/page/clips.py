"""The clips: find, hear, correct, delete and bring back; and the report on the whole set."""

from typing import Any

import gradio as gr

from app.commands.check import report_on
from app.commands.split import describe
from app.page import pictures, report
from app.page.events import bind, bind_pick, html_block
from app.page.markup import card, empty, notice, play, player, speech, text
from app.page.shared import Page, opened
from app.page.texts import Say, label, words_for
from engine.audio import load_audio
from engine.clips import Clip
from engine.errors import LectError, UsageError
from engine.store import Project
from engine.text import nfc

PAGE = 30  # rows at once
SPLITS = ("train", "dev", "test", "")
ORDERS = ("newest", "oldest", "label", "speaker", "longest", "worst")


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_clips"), id="clips") as tab:
        chosen, start = gr.State(0), gr.State(0)
        with gr.Row(elem_classes="filters"):
            search = gr.Textbox("", label=label("clips_search"), elem_id="search", scale=3, min_width=200)
            which = gr.Dropdown(_kinds(), value="all", label=label("clips_which"), elem_id="which", min_width=150)
            order = gr.Dropdown(_orders(), value="newest", label=label("clips_order"), elem_id="order", min_width=150)
        with gr.Accordion(label("clips_report"), open=False, elem_id="report") as check:
            told = html_block(elem_id="set-report", picks=True)
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=3, min_width=320):
                rows = html_block(elem_id="clips", picks=True)
                with gr.Row():
                    undo = gr.Button(label("clips_undo"), elem_id="undo", interactive=False)
                    split = gr.Button(label("clips_split"), elem_id="split")
            with gr.Column(scale=2, min_width=300):
                view = html_block(elem_id="clip")
                with gr.Column(visible=False) as editor:
                    words = gr.Textbox("", label=label("column_label"), lines=2, elem_id="label", elem_classes="speech")
                    with gr.Row():
                        speaker = gr.Textbox("", label=label("column_speaker"), elem_id="clip-speaker")
                        side = gr.Dropdown(_sides(), label=label("column_split"), elem_id="clip-split")
                    with gr.Row():
                        save = gr.Button(label("save"), variant="primary", elem_id="save-clip")
                        delete = gr.Button(label("clips_delete"), variant="stop", elem_id="delete-clip")

    look = [page.project, search, which, order, start]
    listing = [rows, undo, start]
    detail = [view, editor, words, speaker, side, chosen]
    fields = [words, speaker, side]

    def filtered(folder: str, wanted: str, kind: str, by: str, request: gr.Request) -> tuple[Any, ...]:
        return show(folder, wanted, kind, by, 0, request)

    bind(tab.select, show, look, listing)
    bind(tab.select, cleared, [page.project], [view, editor, told])
    for changed in (search.change, which.change, order.change):
        bind(changed, filtered, look[:-1], listing, trigger_mode="always_last")
    picked = bind_pick(rows, pick, look, [*listing, *detail, page.tabs])
    picked.then(None, [], [], js='() => window.lectShow("#clip")', api_visibility="private")
    bind_pick(told, pick, look, [*listing, *detail, page.tabs])
    bind(save.click, change, [*look, chosen, *fields], listing)
    bind(delete.click, remove, [*look, chosen], [*listing, view, editor, page.header])
    bind(undo.click, restore, look, [*listing, page.header])
    bind(split.click, assign, look, [*listing, view])
    bind(check.expand, check_set, [page.project], [told], show_progress="minimal")


def show(folder: str, search: str, which: str, order: str, start: int, request: gr.Request) -> tuple[Any, ...]:
    """(rows, undo button, start)."""
    say = words_for(request)
    if not folder:
        return empty(say("no_project"), say("tab_project"), "tab:project"), gr.Button(interactive=False), 0
    project = opened(folder)
    everything = project.clips()
    undo = gr.Button(interactive=bool(project.trash()))
    if not everything:
        return empty(say("clips_none"), say("tab_record"), "tab:record"), undo, 0
    found = ordered([clip for clip in everything if matches(clip, search, which)], order)
    start = min(start, max(0, len(found) - 1) // PAGE * PAGE)
    return _table(project, found, len(everything), start, say), undo, start


def cleared(folder: str, request: gr.Request) -> tuple[Any, ...]:
    """(clip, editor, report) while no clip is chosen."""
    hint = f'<p class="muted hint">{text(words_for(request)("clips_choose"))}</p>'
    return hint if folder and opened(folder).clips() else "", gr.Column(visible=False), ""


def matches(clip: Clip, search: str, which: str) -> bool:
    """Whether a clip is asked for: every word of `search` in its label, speaker or verdict; of a split or verdict."""
    verdict = "" if clip.quality.verdict == "good" else clip.quality.verdict
    text_of_clip = nfc(f"{clip.text} {clip.speaker} {verdict}").casefold()
    kind, _, value = which.partition(":")
    wanted = {"split": clip.split == value, "verdict": bool(verdict)}.get(kind, True)
    return wanted and all(word in text_of_clip for word in nfc(search).casefold().split())


def ordered(clips: list[Clip], order: str) -> list[Clip]:
    """Clips in one of ORDERS."""
    keys = {
        "newest": lambda clip: -clip.id,
        "label": lambda clip: clip.text.casefold(),
        "speaker": lambda clip: (clip.speaker.casefold(), clip.id),
        "longest": lambda clip: -clip.seconds,
        "worst": lambda clip: (clip.quality.verdict == "good", clip.quality.snr_db),
    }
    return sorted(clips, key=keys.get(order, lambda clip: clip.id))


def pick(
    value: str, folder: str, search: str, which: str, order: str, start: int, request: gr.Request
) -> tuple[Any, ...]:
    """A click: on a clip, on the pages of the list, or on the way to another step."""
    kind, _, name = value.partition(":")
    listing, detail = [gr.skip()] * 3, [gr.skip()] * 6
    if kind == "tab":
        return *listing, *detail, gr.Tabs(selected=name)
    if kind == "page":
        return *show(folder, search, which, order, int(name), request), *detail, gr.skip()
    return *listing, *_detail(opened(folder), int(name), words_for(request)), gr.skip()


def change(
    folder: str, search: str, which: str, order: str, start: int, clip_id: int, words: str, speaker: str, side: str,
    request: gr.Request,
) -> tuple[Any, ...]:  # fmt: skip
    """Saves label, speaker and split of the chosen clip."""
    project = opened(folder)
    clip = clip_of(project, clip_id)
    if words.strip() != clip.text:
        project.relabel(clip_id, words.strip())
    if speaker.strip() != clip.speaker:
        project.set_speaker([clip_id], speaker)
    if side != clip.split:
        project.set_split([clip_id], side)
    gr.Info(words_for(request)("saved"))
    return show(folder, search, which, order, start, request)


def remove(
    folder: str, search: str, which: str, order: str, start: int, clip_id: int, request: gr.Request
) -> tuple[Any, ...]:
    """Moves the chosen clip to the trash."""
    from app.page.header import show as header

    opened(folder).delete([clip_id])
    shown = notice(words_for(request)("clips_deleted"))
    return *show(folder, search, which, order, start, request), shown, gr.Column(visible=False), header(folder, request)


def restore(folder: str, search: str, which: str, order: str, start: int, request: gr.Request) -> tuple[Any, ...]:
    """Brings the last deleted clip back."""
    from app.page.header import show as header

    project = opened(folder)
    if trash := project.trash():
        project.restore([trash[0].id])
    return *show(folder, search, which, order, start, request), header(folder, request)


def assign(folder: str, search: str, which: str, order: str, start: int, request: gr.Request) -> tuple[Any, ...]:
    """Splits the clips that have no split."""
    made = opened(folder).assign_splits()
    told = card(words_for(request)("clips_split"), f"<pre>{text(describe(made))}</pre>")
    return *show(folder, search, which, order, start, request), told


def check_set(folder: str, request: gr.Request) -> str:
    """The report on the set."""
    return report.shown(report_on(opened(folder)), words_for(request))


def clip_of(project: Project, clip_id: int) -> Clip:
    """A clip by number. Raises UsageError when it is gone."""
    found = next((clip for clip in project.clips() if clip.id == clip_id), None)
    if found is None:
        raise UsageError("That clip is no longer there: choose another one.")
    return found


def _detail(project: Project, clip_id: int, say: Say) -> tuple[Any, ...]:
    clip = clip_of(project, clip_id)
    try:
        wave = pictures.waveform(load_audio(clip.path), say("picture_wave"))
    except LectError as error:
        wave = notice(str(error), "bad")
    word = say("word_" + clip.quality.verdict.replace(" ", "_"))
    facts = say("clip_facts", seconds=f"{clip.seconds:.1f}", snr=f"{clip.quality.snr_db:.0f}", verdict=word)
    body = f'{wave}{player(project.folder, clip)}<p class="muted">{text(facts)}</p>'
    shown = card(say("clip_title", number=clip.id), body)
    return shown, gr.Column(visible=True), clip.text, clip.speaker, clip.split, clip.id


def _table(project: Project, found: list[Clip], total: int, start: int, say: Say) -> str:
    rows = "".join(
        f"<li>{play(project.folder, clip, say('play'))}"
        f'<button class="clip" data-pick="clip:{clip.id}">{speech(clip.text)}'
        f'<span class="muted">{text(_facts(clip, say))}</span></button></li>'
        for clip in found[start : start + PAGE]
    )
    count = say("clips_count", found=len(found), total=total)
    return f'<p class="muted">{text(count)}</p><ul class="rows">{rows}</ul>{_pages(len(found), start, say)}'


def _facts(clip: Clip, say: Say) -> str:
    side = say(f"split_{clip.split}") if clip.split else say("split_none")
    facts = [clip.speaker or say("speaker_unknown"), side, f"{clip.seconds:.1f} s"]
    verdict = clip.quality.verdict
    return " · ".join(facts + ([say("word_" + verdict.replace(" ", "_"))] if verdict != "good" else []))


def _pages(found: int, start: int, say: Say) -> str:
    buttons = [
        f'<button class="act" data-pick="page:{at}">{text(say(key))}</button>'
        for key, at, there in (
            ("previous", start - PAGE, start > 0),
            ("next", start + PAGE, start + PAGE < found),
        )
        if there
    ]
    where = f"{start + 1}–{min(start + PAGE, found)} / {found}"
    return f'<div class="pages">{"".join(buttons)}<span class="muted">{where}</span></div>' if buttons else ""


def _kinds() -> list[tuple[Any, str]]:
    splits = [(label(f"split_{name}" if name else "split_none"), f"split:{name}") for name in SPLITS]
    return [(label("clips_all"), "all"), *splits, (label("clips_warned"), "verdict")]


def _orders() -> list[tuple[Any, str]]:
    return [(label(f"order_{name}"), name) for name in ORDERS]


def _sides() -> list[tuple[Any, str]]:
    return [(label(f"split_{name}" if name else "split_none"), name) for name in SPLITS]
