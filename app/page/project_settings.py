"""A project's settings, text rules and speakers: their fields, and what saves them."""

from dataclasses import replace
from typing import Any

import gradio as gr

from lect.engine.contract.errors import LectError, UsageError
from lect.engine.data.clips import Speaker
from lect.engine.data.store import Project

from . import rules
from .events import bind, html_block
from .header import show as header
from .markup import notice, speech, table, text
from .shared import Page, opened
from .texts import Say, label, words_for

UNDETERMINED = "und"
EXAMPLE = "“Hé, N’golo!” [laughs]"  # capitals, punctuation, a mark inside a word, a remark


def build(page: Page) -> tuple[Any, ...]:
    """(name, language, the rules) of the open project."""
    with gr.Row():
        name = gr.Textbox("", label=label("project_name"), elem_id="name", max_length=80)
        language = language_field("language")
    fields = rule_fields()
    save = gr.Button(label("save"))
    bind(save.click, change, [page.project, name, language, *fields], [page.header])
    return name, language, *fields


def rule_fields() -> tuple[Any, ...]:
    """(case, punctuation, removed, replaced), and an example that follows them."""
    with gr.Row():
        keep_case = gr.Checkbox(label=label("rules_case"), info=label("rules_case_info"))
        keep_punctuation = gr.Checkbox(label=label("rules_punctuation"), info=label("rules_punctuation_info"))
    with gr.Row():
        removed = gr.Textbox("", label=label("rules_remove"), info=label("rules_remove_info"), lines=2)
        replaced = gr.Textbox("", label=label("rules_replace"), info=label("rules_replace_info"), lines=2)
    with gr.Row():
        example = gr.Textbox(EXAMPLE, label=label("rules_example"), elem_classes="speech")
        preview = html_block()
    fields = (keep_case, keep_punctuation, removed, replaced)
    for field in (*fields, example):
        bind(field.change, preview_rules, [*fields, example], [preview])
    return fields


def language_field(elem_id: str, name: Any = None) -> gr.Textbox:
    """A language's tag; page.js offers those of the registry as one types. name: another label than "Language"."""
    return gr.Textbox(
        "",
        label=name or label("project_language"),
        info=label("project_language_info"),
        elem_id=elem_id,
        elem_classes="language",
        max_lines=1,
    )


def build_speakers(page: Page) -> tuple[Any, ...]:
    """The table of speakers."""
    known = html_block()
    with gr.Row():
        name = gr.Textbox("", label=label("speaker_name"))
        licence = gr.Textbox("", label=label("speaker_licence"), placeholder="CC0-1.0")
    consent = gr.Textbox("", label=label("speaker_consent"), info=label("speaker_consent_info"), lines=2)
    save = gr.Button(label("save"))
    bind(save.click, save_speaker, [page.project, name, licence, consent], [known])
    return (known,)


def change(
    folder: str,
    name: str,
    language: str,
    case: bool,
    punctuation: bool,
    removed: str,
    replaced: str,
    request: gr.Request,
) -> str:
    """Saves the settings of the open project."""
    project = opened(folder)
    made = rules.from_fields(case, punctuation, removed, replaced)
    project.set_name(name.strip() or project.name)
    project.set_language(language.strip() or UNDETERMINED)
    project.set_rules(made)
    gr.Info(words_for(request)("saved"))
    return header(folder, request)


def save_speaker(folder: str, name: str, licence: str, consent: str, request: gr.Request) -> str:
    """Adds a speaker, or changes what they allow."""
    if not name.strip():
        raise UsageError("The speaker has no name: write one, or a letter that stands for them.")
    project = opened(folder)
    old = next((one for one in project.speakers() if one.name == name.strip()), Speaker(name.strip()))
    project.save_speakers([replace(old, consent=consent.strip(), licence=licence.strip())])
    return speaker_table(project, words_for(request))


def preview_rules(case: bool, punctuation: bool, removed: str, replaced: str, example: str, request: gr.Request) -> str:
    """What the rules leave of an example."""
    say = words_for(request)
    try:
        left = rules.from_fields(case, punctuation, removed, replaced).apply(example)
    except LectError as error:
        return notice(str(error), "warn")
    return f'<div class="preview"><span>{text(say("rules_becomes"))}</span> {speech(left)}</div>'


def speaker_table(project: Project, say: Say) -> str:
    """Who speaks, and what they allow."""
    rows = [(text(one.name), text(one.licence) or "–", text(one.consent) or "–") for one in project.speakers()]
    if not rows:
        return notice(say("speakers_none"))
    return table([say("speaker_name"), say("speaker_licence"), say("speaker_consent")], rows)
