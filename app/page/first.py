"""The first screen while no project is open: which language, what this computer can do in it, what recording brings."""

import gradio as gr

from . import languages
from .backbones import writer_of
from .events import bind, bind_pick, html_block
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
    return whole, can, language


def leads(can: gr.HTML, language: gr.Textbox, new_project: gr.Accordion, new_language: gr.Textbox) -> None:
    """The button that opens the new project's fields, with the language that was typed."""

    def teach(_: str, typed: str, request: gr.Request) -> tuple[gr.Accordion, str]:
        return gr.Accordion(open=True), typed

    taught = bind_pick(can, teach, [language], [new_project, new_language])
    taught.then(None, js='() => window.lectFocus("#new-name")', api_visibility="private")


def show(language: str, request: gr.Request) -> tuple[str, str]:
    """(what this computer can do, the language)."""
    return f"{can_do(language, words_for(request))}", language.strip()


def can_do(language: str, say: Say) -> str:
    """A sentence or two about a language, with the ways onward."""
    sentence, able = already(language, say)
    transcribe = f'<button class="act" data-step="transcribe">{text(say("first_transcribe"))}</button>' if able else ""
    teach = f'<button class="act primary" data-pick="teach">{text(say("first_teach"))}</button>'
    return notice(sentence) + f'<div class="links">{teach}{transcribe}</div>'


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
