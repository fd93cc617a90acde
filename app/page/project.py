"""The first step: a language or the sample, the projects that there are, and what the open one holds."""

from pathlib import Path
from typing import Any

import gradio as gr

from lect.engine.contract.files import ASSETS
from lect.engine.data.store import Project

from . import first, folder_picker, languages, project_settings, projects, recent, rules
from .events import Pick, bind, bind_pick, html_block, in_turn, progressing
from .markup import card, chips, length, meter, notice, text
from .project_settings import UNDETERMINED
from .shared import Page, opened
from .texts import Say, label, words_for

SAMPLE = ASSETS / "sample"
VIEW = 15  # parts that `show` fills


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_project"), id="project") as tab:
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=3, min_width=300):
                question, can, typed = first.build(page)
                current = html_block(elem_id="current")
                sample = gr.Button(label("project_sample"), elem_id="sample", visible=False)
                progress = html_block(elem_id="sample-progress")
                with gr.Accordion(label("project_settings"), open=False, visible=False, elem_id="settings") as fields:
                    settings = project_settings.build(page)
                with gr.Accordion(label("project_speakers"), open=False, visible=False, elem_id="speakers") as voices:
                    speakers = project_settings.build_speakers(page)
            with gr.Column(scale=2, min_width=300):
                search = gr.Textbox("", label=label("project_search"), elem_id="project-search", visible=False)
                others = html_block(picks=True, elem_id="recent")
                with gr.Accordion(label("project_path"), open=False, visible=page.local, elem_id="elsewhere"):
                    path = gr.Textbox("", label=label("project_path"), placeholder="/home/…", elem_id="open-path")
                    folder_picker.build(page, path, "open-folders")
                    open_path = gr.Button(label("project_open"), elem_id="open")

    view = [current, question, can, sample, fields, voices, search, others, *settings, *speakers]
    making = in_turn("making")
    entered = bind(sample.click, open_sample, [page.project], [page.project, progress], **making)
    entered.success(None, js='() => window.lectOpen("train")', api_visibility="private")
    for trigger in (open_path.click, path.submit):
        bind(trigger, open_folder, [path], [page.project])
    bind_pick(others, choose, [page.project, search], [page.project, others, page.header], **making)
    bind(search.input, narrow, [search, page.project], [others], trigger_mode="always_last")
    for trigger in (page.loaded.then, page.project.change, tab.select):
        bind(trigger, show, [page.project, page.ready, typed, search], view)


def open_folder(path: str) -> str:
    """Opens the project at a path."""
    return _entered(Project.open(Path(path.strip()).expanduser()))


def choose(picked: Pick, folder: str, search: str, request: gr.Request) -> tuple[Any, ...]:
    """What was clicked in the list of projects: (the open project, the list, the header)."""
    from .header import show as header

    say = words_for(request)
    now, message = projects.act(picked, folder, say)
    if now and not Path(now).is_dir():  # the open one was deleted
        now = ""
    return now, projects.listed(search, now, say, message), header(now, request)


def narrow(search: str, folder: str, request: gr.Request) -> str:
    """The list as the search narrows it."""
    return projects.listed(search, folder, words_for(request))


def open_sample(folder: str, request: gr.Request) -> Any:
    """The project with the sample set: the one that is there, else a new one, imported and split."""
    from lect.engine.data.importers import import_into

    say, place = words_for(request), recent.projects_folder() / "sample"
    if place in recent.recent():
        yield _entered(Project.open(place)), ""
        return
    project = Project.create(recent.new_folder("sample"), recent.new_name("Sample"), UNDETERMINED)
    for report, _ in progressing(lambda tell: import_into(project, SAMPLE, progress=tell)):
        if report is not None:
            total = say("count_recordings", count=report.total)
            yield gr.skip(), meter(report.done / report.total, say("importing", done=report.done, total=total))
    if len(languages := {clip.language for clip in project.clips()}) == 1:
        project.set_language(languages.pop())
    project.assign_splits()
    yield _entered(project), ""


def show(folder: str, ready: bool, typed: str, search: str, request: gr.Request) -> tuple[Any, ...]:
    """(current, the question, what the computer can do, sample, settings and speakers with their fields, search,
    list)."""
    if not ready:  # else the first screen would flash before a project is shown
        return tuple(gr.skip() for _ in range(VIEW))
    say = words_for(request)
    there, many = bool(folder), len(recent.recent()) > projects.MANY
    parts = (
        gr.Column(visible=not there),
        "" if there else first.can_do(typed, say),
        gr.Button(visible=not there),
        gr.Accordion(visible=there),
        gr.Accordion(visible=there),
        gr.Textbox(visible=many),
        projects.listed(search, folder, say),
    )
    if not folder:
        return "", *parts, "", "", False, False, "", "", ""
    project = opened(folder)
    settings = (project.name, project.language, *rules.to_fields(project.rules))
    return _current(project, say), *parts, *settings, project_settings.speaker_table(project, say)


def _current(project: Project, say: Say) -> str:
    clips = project.clips()
    speakers = {clip.speaker for clip in clips} - {""}
    counts = {"clips": clips, "speakers": speakers, "runs": project.runs(), "packs": project.packs()}
    figures = [(str(len(each)), say(f"fact_{name}", count=len(each))) for name, each in counts.items()]
    figures.insert(1, (length(clips, say), say("fact_length")))
    where = f'<p class="path"><bdi dir="ltr">{text(str(project.folder))}</bdi></p>'
    can = "" if counts["packs"] else notice(first.already(project.language, say)[0])
    return card(f"{project.name} · {languages.shown(project.language)}", chips(figures) + can + where)


def _entered(project: Project) -> str:
    recent.remember(project)
    return str(project.folder)
