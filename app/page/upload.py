"""Taking in recordings that exist: a preview of what would be taken, what not and why; then the import itself."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from lect.engine.contract.errors import UsageError
from lect.engine.data.archives import only_folder, unpack
from lect.engine.data.import_plan import FoundTier, ImportOutcome, ImportRequest, import_set, preview, shown_labels

from ..output import duration
from .events import bind, html_block, progressing
from .markup import card, chips, empty, meter, notice, onward, table, text
from .shared import Page, opened
from .texts import Say, label, words_for

MOST_UNZIPPED_BYTES = 8_000_000_000  # a visitor must not fill the disk
SHOWN = 200  # of what would not be taken


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_import"), id="import") as tab:
        folder_of_set = gr.State("")
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=2, min_width=300):
                files, path, speaker, tiers = _fields(page)
                with gr.Row():
                    look = gr.Button(label("import_look"), variant="primary", elem_id="import-look")
                    take = gr.Button(label("import_take"), interactive=False, elem_id="import-take")
            with gr.Column(scale=3, min_width=320):
                outcome = html_block(elem_id="import-outcome")

    def look_through(
        folder: str, files_given: list[str] | None, path_given: str, name: str, layers: str, request: gr.Request
    ) -> Iterator[tuple[Any, ...]]:
        if path_given.strip() and not page.local:
            raise UsageError("Folders of the server cannot be named from elsewhere: choose files.")
        yield from previewed(folder, files_given or [], path_given, name, layers, request)

    bind(look.click, look_through, [page.project, files, path, speaker, tiers], [outcome, folder_of_set, take])
    taken = [outcome, folder_of_set, take, files, path]
    bind(take.click, take_in, [page.project, folder_of_set, speaker, tiers], taken)
    page.fills(tab, show, [outcome])


def _fields(page: Page) -> tuple[gr.File, gr.Textbox, gr.Textbox, gr.Textbox]:
    """(files, path, speaker, tiers)."""
    files = gr.File(label=label("import_files"), file_count="multiple", elem_id="import-files", height=180)
    path = gr.Textbox(
        "", label=label("import_folder"), placeholder="/home/…", elem_id="import-folder", visible=page.local
    )
    speaker = gr.Textbox("", label=label("import_speaker"), info=label("import_speaker_info"))
    tiers = gr.Textbox("", label=label("import_tiers"), info=label("import_tiers_info"), elem_id="import-tiers")
    return files, path, speaker, tiers


def previewed(
    folder: str, files: list[str], path: str, speaker: str, tiers: str, request: gr.Request
) -> Iterator[tuple[Any, ...]]:
    """(outcome, folder of the set, take): what an import would do."""
    say, project = words_for(request), opened(folder)
    source = gathered(files, path)
    yield notice(say("import_looking")), "", gr.Button(interactive=False)
    expected = preview(project, asked(source, speaker, tiers))
    yield _described(expected, say, done=False), str(source), gr.Button(interactive=bool(expected.clips))


def take_in(folder: str, source: str, speaker: str, tiers: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
    """(outcome, folder of the set, take, files, path): the import, which goes on when the window is closed."""
    say, project, wanted = words_for(request), opened(folder), asked(Path(source), speaker, tiers)
    for at, done in progressing(lambda report: import_set(project, wanted, report)):
        if at is not None:
            total = say("count_recordings", count=at.total)
            yield meter(at.done / at.total, say("importing", done=at.done, total=total)), *[gr.skip()] * 4
        if done is not None:
            _forget(source)
            yield _described(done, say, done=True), "", gr.Button(interactive=False), None, ""


def show(folder: str, request: gr.Request) -> str:
    """What can be taken in."""
    say = words_for(request)
    return notice(say("import_what")) if folder else empty(say("no_project"), say("tab_project"), "project")


def gathered(files: list[str], path: str) -> Path:
    """One folder with everything that was given; a named folder is read where it is. Raises UsageError."""
    if path.strip():
        return Path(path.strip()).expanduser()
    if not files:
        raise UsageError("Nothing is chosen: choose recordings with their texts, a zip, or a folder.")
    folder = Path(tempfile.mkdtemp(prefix="lect-import-"))
    for name in map(Path, files):
        if zipfile.is_zipfile(name):
            unpack(name, folder, MOST_UNZIPPED_BYTES)
        elif (target := folder / name.name).exists():
            raise UsageError(f"Two files are called {name.name}: put them into a zip, in folders of their own.")
        else:
            shutil.copyfile(name, target)
    return only_folder(folder)


def asked(source: Path, speaker: str, tiers: str) -> ImportRequest:
    """What the fields ask for; the speaker is that of recordings that name none, and the others' are taken too."""
    patterns = tuple(each.strip() for each in tiers.split(",") if each.strip())
    shown = "What you chose" if "lect-import-" in str(source) else ""
    return ImportRequest(source, tiers=patterns, speaker=speaker.strip(), shown=shown, others=True)


def _forget(folder: str) -> None:
    """Removes the copies of what was uploaded, never a folder that was named."""
    if (path := Path(folder)).is_relative_to(tempfile.gettempdir()):
        top = next((each for each in (path, path.parent) if each.name.startswith("lect-import-")), None)
        shutil.rmtree(top, ignore_errors=True) if top else None


def _described(outcome: ImportOutcome, say: Say, done: bool) -> str:
    figures = [
        (str(outcome.clips), say("import_taken" if done else "import_would")),
        (duration(outcome.seconds), say("fact_length")),
        (str(len(outcome.skipped)), say("import_not")),
        (str(len(outcome.duplicates)), say("import_known")),
    ]
    parts = [chips(figures), _tiers(outcome.tiers, say)]
    parts.append(_files(shown_labels(outcome), say("column_label"), say("import_labels"), say))
    parts.append(_files(outcome.skipped, say("column_why"), say("import_not"), say))
    parts.append(_files(outcome.warnings, say("column_mind"), say("import_mind"), say))
    parts.append(_files([(path, path.suffix) for path in outcome.left], "", say("import_left"), say))
    if done:
        parts.append(onward(say("tab_clips"), "clips"))
    elif outcome.clips:
        parts.append(notice(say("import_ready", what=say("count_clips", count=outcome.clips)), "good"))
    return card(say("import_done" if done else "import_preview"), "".join(parts))


def _tiers(tiers: list[FoundTier], say: Say) -> str:
    headings = [say("import_tiers"), say("import_annotations"), say("fact_length"), say("import_chosen")]
    rows = [
        (
            text(" · ".join(filter(None, (tier.name, tier.kind, tier.participant)))),
            str(tier.annotations),
            duration(tier.seconds),
            "✓" if tier.chosen else "–",
        )
        for tier in tiers
    ]
    return table(headings, rows, numbers=(1, 2)) if rows else ""


def _files(found: list[tuple[Path, str]], heading: str, title: str, say: Say) -> str:
    rows = [(text(path.name), text(sentence)) for path, sentence in found[:SHOWN]]
    return table([say("column_file"), heading], rows, title) if rows else ""
