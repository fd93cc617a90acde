"""Taking in recordings that exist: a preview of what would be taken, what not and why; then the import itself."""

import argparse
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import gradio as gr

from app.commands import import_
from app.commands.import_ import Outcome
from app.output import counted, duration, size
from app.page.events import bind, html_block, progressing
from app.page.markup import card, chips, empty, meter, notice, onward, table, text
from app.page.shared import Page, opened
from app.page.texts import Say, label, words_for
from engine.errors import UsageError
from engine.importers import Progress, import_into
from engine.quality import usable
from engine.store import Project

MAX_UNZIPPED_BYTES = 8_000_000_000
MAX_FILES = 50_000
SHOWN = 200  # of what would not be taken
JUNK = ("__MACOSX/", ".DS_Store", "._")


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_import"), id="import") as tab:
        folder_of_set = gr.State("")
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=2, min_width=300):
                files = gr.File(label=label("import_files"), file_count="multiple", elem_id="import-files", height=180)
                path = gr.Textbox(
                    "", label=label("import_folder"), placeholder="/home/…", elem_id="import-folder", visible=page.local
                )
                speaker = gr.Textbox("", label=label("import_speaker"), info=label("import_speaker_info"))
                with gr.Row():
                    look = gr.Button(label("import_look"), variant="primary", elem_id="import-look")
                    take = gr.Button(label("import_take"), interactive=False, elem_id="import-take")
            with gr.Column(scale=3, min_width=320):
                told = html_block(elem_id="import-told", picks=True)

    def source(files_given: list[str] | None, path_given: str) -> Path:
        if path_given.strip() and not page.local:
            raise UsageError("Folders of the server cannot be named from elsewhere: choose files.")
        return gathered(files_given or [], path_given)

    def preview(folder: str, files_given: list[str] | None, path_given: str, name: str, request: gr.Request) -> Any:
        say, project = words_for(request), opened(folder)
        found = source(files_given, path_given)
        yield notice(say("import_looking")), "", gr.Button(interactive=False)
        outcome = import_._rehearse(_arguments(found, name), project)
        yield _described(outcome, say, done=False), str(found), gr.Button(interactive=bool(outcome.clips))

    def run(folder: str, set_folder: str, name: str, request: gr.Request) -> Any:
        say, project, args = words_for(request), opened(folder), _arguments(Path(set_folder), name)
        for at, outcome in progressing(lambda tell: taken(args, project, tell)):
            if at is not None:
                yield meter(at.done / at.total, say("importing", done=at.done, total=at.total)), *[gr.skip()] * 4
            if outcome is not None:
                _forget(set_folder)
                yield _described(outcome, say, done=True), "", gr.Button(interactive=False), None, ""

    bind(look.click, preview, [page.project, files, path, speaker], [told, folder_of_set, take])
    bind(take.click, run, [page.project, folder_of_set, speaker], [told, folder_of_set, take, files, path])
    page.fills(tab, show, [told])
    page.leads(told)


def show(folder: str, request: gr.Request) -> str:
    """What can be taken in."""
    say = words_for(request)
    return notice(say("import_what")) if folder else empty(say("no_project"), say("tab_project"), "project")


def taken(args: argparse.Namespace, project: Project, tell: Callable[[Progress], None]) -> Outcome:
    """What `lect import` does, with its progress told."""
    report = import_into(project, args.source, args.layout, progress=tell)
    import_._complete(args, project, report)
    new = set(report.taken)
    clips = [clip for clip in project.clips() if clip.id in new]
    unusable = sum(not usable(clip.quality) for clip in clips)
    seconds = sum(clip.seconds for clip in clips)
    return Outcome(len(clips), seconds, report.duplicates, report.skipped, report.warnings, unusable)


def gathered(files: list[str], path: str) -> Path:
    """One folder with everything that was given; a named folder is read where it is. Raises UsageError."""
    if path.strip():
        return Path(path.strip()).expanduser()
    if not files:
        raise UsageError("Nothing is chosen: choose recordings with their texts, a zip, or a folder.")
    folder = Path(tempfile.mkdtemp(prefix="lect-import-"))
    for name in map(Path, files):
        if zipfile.is_zipfile(name):
            unpack(name, folder)
        elif (target := folder / name.name).exists():
            raise UsageError(f"Two files are called {name.name}: put them into a zip, in folders of their own.")
        else:
            shutil.copyfile(name, target)
    inside = [each for each in folder.iterdir() if not each.name.startswith(".")]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def unpack(archive: Path, folder: Path) -> None:
    """Unpacks a zip from a stranger into `folder`, and nowhere else. Raises UsageError for one that is not right."""
    try:
        with zipfile.ZipFile(archive) as file:
            entries = [each for each in file.infolist() if not each.is_dir() and not _is_junk(each.filename)]
            if len(entries) > MAX_FILES or sum(each.file_size for each in entries) > MAX_UNZIPPED_BYTES:
                raise UsageError(
                    f"{archive.name} holds more than {size(MAX_UNZIPPED_BYTES)} or {MAX_FILES} files: split it."
                )
            for entry in entries:
                name = PurePosixPath(entry.filename)
                if name.is_absolute() or ".." in name.parts:
                    raise UsageError(f"{archive.name} would write outside its folder: make the zip again.")
                file.extract(entry, folder)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise UsageError(
            f"{archive.name} cannot be unpacked ({error}): make the zip again, without a password."
        ) from error


def _is_junk(name: str) -> bool:
    return name.startswith(JUNK[0]) or PurePosixPath(name).name.startswith(JUNK[1:])


def _arguments(source: Path, speaker: str) -> argparse.Namespace:
    """What `lect import SOURCE` would be given."""
    from app.cli import parser_for

    given = [str(source), "--json"] + (["--speaker", speaker.strip()] if speaker.strip() else [])
    return parser_for("import").parse_args(given)


def _forget(folder: str) -> None:
    """Removes the copies of what was uploaded, never a folder that was named."""
    if (path := Path(folder)).is_relative_to(tempfile.gettempdir()):
        top = next((each for each in (path, path.parent) if each.name.startswith("lect-import-")), None)
        shutil.rmtree(top, ignore_errors=True) if top else None


def _described(outcome: Outcome, say: Say, done: bool) -> str:
    figures = [
        (str(outcome.clips), say("import_taken" if done else "import_would")),
        (duration(outcome.seconds), say("fact_length")),
        (str(len(outcome.skipped)), say("import_not")),
        (str(len(outcome.duplicates)), say("import_known")),
    ]
    parts = [chips(figures)]
    if outcome.skipped:
        rows = [(text(path.name), text(why)) for path, why in outcome.skipped[:SHOWN]]
        parts.append(table([say("column_file"), say("column_why")], rows, say("import_not")))
    if outcome.warnings:
        rows = [(text(path.name), text(what)) for path, what in outcome.warnings[:SHOWN]]
        parts.append(table([say("column_file"), say("column_mind")], rows, say("import_mind")))
    if done:
        parts.append(onward(say("tab_clips"), "clips"))
    elif outcome.clips:
        parts.append(notice(say("import_ready", what=counted(outcome.clips, "clip")), "good"))
    return card(say("import_done" if done else "import_preview"), "".join(parts))
