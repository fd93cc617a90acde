"""The first step: the sample, a new project, one that is there; and what the open one holds."""

from pathlib import Path
from typing import Any

import gradio as gr

from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import ASSETS
from lect.engine.data.store import Project

from . import first, languages, project_settings, recent, rules
from .events import bind, bind_pick, html_block, progressing
from .markup import card, chips, length, meter, notice, text
from .project_settings import UNDETERMINED
from .shared import Page, opened
from .texts import Say, label, words_for

SAMPLE = ASSETS / "sample"
RECENT = 6  # projects listed


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_project"), id="project") as tab:
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=3, min_width=300):
                question, can, typed = first.build(page)
                current = html_block(elem_id="current")
                sample = gr.Button(label("project_sample"), elem_id="sample")
                progress = html_block(elem_id="sample-progress")
            with gr.Column(scale=2, min_width=300):
                others = html_block(picks=True, elem_id="recent")
                with gr.Accordion(label("project_path"), open=False, visible=page.local, elem_id="elsewhere"):
                    path = gr.Textbox("", label=label("project_path"), placeholder="/home/…", elem_id="open-path")
                    open_path = gr.Button(label("project_open"), elem_id="open")
        with gr.Accordion(label("project_new"), open=False, elem_id="new-project") as new_project:
            created = _new_project()
        with gr.Accordion(label("project_settings"), open=False, elem_id="settings"):
            settings = project_settings.build(page)
        with gr.Accordion(label("project_speakers"), open=False, elem_id="speakers"):
            speakers = project_settings.build_speakers(page)

    first.leads(can, typed, new_project, created[2])
    view = [current, question, can, others, *settings, *speakers]
    bind(sample.click, open_sample, [], [page.project, progress])
    bind(open_path.click, open_folder, [path], [page.project])
    bind(path.submit, open_folder, [path], [page.project])
    bind_pick(others, open_recent, [], [page.project])
    bind(created[0], create, created[1:], [page.project])
    for trigger in (page.loaded.then, page.project.change, tab.select):
        bind(trigger, show, [page.project, typed], view)


def _new_project() -> tuple[Any, ...]:
    """(trigger, name, language, the rules)."""
    with gr.Row():
        name = gr.Textbox("", label=label("project_name"), elem_id="new-name", max_length=80)
        language = project_settings.language_field("new-language")
    fields = project_settings.rule_fields()
    make = gr.Button(label("project_make"), variant="primary", elem_id="make")
    return make.click, name, language, *fields


def create(name: str, language: str, case: bool, punctuation: bool, removed: str, replaced: str) -> str:
    """Makes a project; its folder."""
    if not name.strip():
        raise UsageError("The project has no name: write what it is about.")
    made = rules.from_fields(case, punctuation, removed, replaced)
    return _entered(Project.create(recent.new_folder(name), name, language.strip() or UNDETERMINED, made))


def open_folder(path: str) -> str:
    """Opens the project at a path."""
    return _entered(Project.open(Path(path.strip()).expanduser()))


def open_recent(key: str, request: gr.Request) -> str:
    """Opens one of the list."""
    if project := recent.by_key(key):
        return _entered(project)
    raise UsageError("That project is gone from its place: open it where it is now.")


def open_sample(request: gr.Request) -> Any:
    """A new project with the sample set, imported and split."""
    from lect.engine.data.importers import import_into

    say = words_for(request)
    project = Project.create(recent.new_folder("sample"), "Sample", UNDETERMINED)
    for report, _ in progressing(lambda tell: import_into(project, SAMPLE, progress=tell)):
        if report is not None:
            total = say("count_recordings", count=report.total)
            yield gr.skip(), meter(report.done / report.total, say("importing", done=report.done, total=total))
    if len(languages := {clip.language for clip in project.clips()}) == 1:
        project.set_language(languages.pop())
    project.assign_splits()
    yield _entered(project), ""


def show(folder: str, typed: str, request: gr.Request) -> tuple[Any, ...]:
    """(current, the question, what the computer can do, recent, the settings, speakers)."""
    say = words_for(request)
    asked = (gr.Column(visible=not folder), "" if folder else first.can_do(typed, say))
    if not folder:
        return (
            f'<p class="muted">{text(say("project_none"))}</p>',
            *asked,
            _recent(say, folder),
            "",
            "",
            False,
            False,
            "",
            "",
            "",
        )
    project = opened(folder)
    settings = (project.name, project.language, *rules.to_fields(project.rules))
    return _current(project, say), *asked, _recent(say, folder), *settings, project_settings.speaker_table(project, say)


def _current(project: Project, say: Say) -> str:
    clips = project.clips()
    speakers = {clip.speaker for clip in clips} - {""}
    counts = {"clips": clips, "speakers": speakers, "runs": project.runs(), "packs": project.packs()}
    figures = [(str(len(each)), say(f"fact_{name}", count=len(each))) for name, each in counts.items()]
    figures.insert(1, (length(clips), say("fact_length")))
    where = f'<p class="path">{text(str(project.folder))}</p>'
    can = "" if counts["packs"] else notice(first.already(project.language, say)[0])
    return card(f"{project.name} · {languages.shown(project.language)}", chips(figures) + can + where)


def _recent(say: Say, folder: str) -> str:
    others = [each for each in recent.recent() if str(each) != folder]
    if not others:
        return ""
    items = "".join(f"<li>{_item(each)}</li>" for each in others[:RECENT])
    return card(say("project_recent"), f'<ul class="items">{items}</ul>')


def _item(folder: Path) -> str:
    where = f"<span>{text(str(folder.parent))}</span>"
    return f'<button class="item" data-pick="{recent.key(folder)}">{text(folder.name)}{where}</button>'


def _entered(project: Project) -> str:
    recent.remember(project)
    return str(project.folder)
