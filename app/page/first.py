"""The first screen while no project is open: which language, what this computer can do in it, and the two ways on."""

import gradio as gr

from lect.engine.data.store import Project

from . import languages, recent
from .backbones import writer_of
from .events import Pick, bind, bind_pick, html_block, in_turn
from .header import FIRST_GOAL
from .markup import notice, text
from .project_settings import UNDETERMINED, language_field
from .shared import Page
from .texts import Say, label, words_for


def build(page: Page) -> tuple[gr.Column, gr.HTML, gr.Textbox]:
    """(all of it, what the computer can do, the field)."""
    with gr.Column(visible=False, elem_id="first") as whole:
        language = language_field("first-language", label("first_language"))
        can = html_block(elem_id="already", picks=True)
    bind(language.change, show, [language], [can, page.language])
    # In turn: the second of two clicks finds the project that the first has made.
    made = bind_pick(can, teach, [language, page.project], [page.project], **in_turn("making"))
    made.success(None, js='() => window.lectOpen("record")', api_visibility="private")
    return whole, can, language


def teach(_: Pick, language: str, folder: str, request: gr.Request) -> str:
    """Makes a project for a language, named after it; its folder. While one is open, that is it."""
    if folder:
        return folder
    language = language.strip()
    name = recent.new_name(languages.named(language) or language or words_for(request)("first_unnamed"))
    project = Project.create(recent.new_folder(name), name, language or UNDETERMINED)
    recent.remember(project)
    return str(project.folder)


def show(language: str, request: gr.Request) -> tuple[str, str]:
    """(what this computer can do, the language)."""
    return f"{can_do(language, words_for(request))}", language.strip()


def can_do(language: str, say: Say) -> str:
    """A sentence or two about a language, with the ways onward."""
    sentence, able = already(language, say)
    ways = (("first_transcribe", ""), ("first_speak", " data-record")) if able else ()
    now = "".join(f'<button class="act" data-step="transcribe"{how}>{text(say(key))}</button>' for key, how in ways)
    teach = f'<button class="act primary" data-pick="teach">{text(say("first_teach"))}</button>'
    return notice(sentence) + f'<div class="links">{teach}{now}</div>'


def already(language: str, say: Say) -> tuple[str, bool]:
    """(what this computer writes in a language without training and what recording brings, whether it writes any)."""
    language = language.strip()
    writer, shown = writer_of(language), languages.shown(language)
    if writer is None:
        return say("first_none", goal=FIRST_GOAL), False
    if language in ("", UNDETERMINED):
        count = say("count_languages", count=len(writer.languages))
        return say("first_any", name=writer.name, languages=count), True
    if writer.knows(language):
        return say("first_known", name=writer.name, language=shown), True
    return say("first_unknown", name=writer.name, language=shown, goal=FIRST_GOAL), False
