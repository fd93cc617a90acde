"""One clip of the list: its sound, its figures, and the fields in which it is corrected. It changes no clip."""

from typing import Any

import gradio as gr

from lect.engine.audio.reading import load_audio
from lect.engine.contract.errors import LectError, UsageError
from lect.engine.data.clips import Clip
from lect.engine.data.store import Project

from . import clip_list, drafts, pictures
from .markup import card, notice, player, text
from .texts import Say, label

DRAFT = "clip:"


def fields() -> tuple[gr.Textbox, gr.Textbox, gr.Dropdown, gr.Checkbox]:
    """(label, speaker, split, used)."""
    words = gr.Textbox("", label=label("column_label"), lines=2, elem_id="label", elem_classes="speech")
    with gr.Row():
        speaker = gr.Textbox("", label=label("column_speaker"), elem_id="clip-speaker", min_width=120)
        side = gr.Dropdown(clip_list.sides(), label=label("column_split"), elem_id="clip-split", min_width=120)
    return words, speaker, side, gr.Checkbox(label=label("clips_used"), elem_id="clip-used")


def clip_of(project: Project, clip_id: int) -> Clip:
    """A clip by number. Raises UsageError when it is gone."""
    found = project.clip(clip_id)
    if found is None:
        raise UsageError("That clip is no longer there: choose another one.")
    return found


def of_clip(project: Project, clip_id: int, say: Say) -> tuple[Any, ...]:
    """(view, editor, label, speaker, split, used, chosen); with what was typed and not saved, if there is some."""
    clip = clip_of(project, clip_id)
    draft = drafts.read(project, draft_name(clip_id))
    try:
        wave = pictures.waveform(load_audio(clip.path), say("picture_wave"))
    except LectError as error:
        wave = notice(str(error), "bad")
    word = say("word_" + clip.quality.verdict.replace(" ", "_"))
    facts = say("clip_facts", seconds=f"{clip.seconds:.1f}", snr=f"{clip.quality.snr_db:.0f}", verdict=word)
    body = f'{wave}{player(project.folder, clip)}<p class="muted">{text(facts)}</p>'
    if draft:
        forget = f'<button class="link" data-pick="forget">{text(say("draft_forget"))}</button>'
        body += f'<div class="undo">{notice(say("draft_there"), "warn")}{forget}</div>'
    close = f'<button class="icon close" data-pick="close" aria-label="{text(say("close"))}">✕</button>'
    view = card(say("clip_title", number=clip.id), close + body)
    return view, gr.Column(visible=True), *(draft or saved(clip)), clip.id


def saved(clip: Clip) -> list[Any]:
    """What the fields say of a clip: label, speaker, split, used."""
    return [clip.text, clip.speaker, clip.split, not clip.excluded]


def draft_name(clip_id: int) -> str:
    """Under which what is typed of a clip is kept."""
    return f"{DRAFT}{clip_id}"


def without_clip(project: Project | None, say: Say) -> tuple[Any, ...]:
    """What `of_clip` gives while none is chosen."""
    hint = f'<p class="muted hint">{text(say("clips_choose"))}</p>' if project and project.clips() else ""
    return hint, gr.Column(visible=False), "", "", "", True, 0
