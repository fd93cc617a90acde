"""Taking in recordings that exist: a preview of what would be taken, what not and why; then the import itself."""

import contextlib
import glob
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from lect.engine.contract.errors import LectError, UsageError
from lect.engine.data.archives import only_folder, unpack
from lect.engine.data.import_plan import (
    FoundTier,
    ImportOutcome,
    ImportRequest,
    found_tiers,
    import_set,
    preview,
    shown_labels,
)

from . import folder_picker
from .events import bind, html_block, in_turn, progressing, sentence_of
from .markup import card, chips, empty, meter, notice, onward, table, text
from .scratch import Scratch
from .shared import Page, opened
from .texts import Say, duration, label, words_for

MOST_UNZIPPED_BYTES = 8_000_000_000  # a visitor must not fill the disk
SHOWN = 200  # of what would not be taken


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_import"), id="import", interactive=False) as tab:
        page.needs_project.append(tab)
        # Removed with the window, which is an hour after it was closed.
        folder_of_set = gr.State("", delete_callback=lambda source: page.scratch.forget(Path(source)))
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=2, min_width=300):
                files, path, speaker, tiers = _fields(page)
                with gr.Row():
                    look = gr.Button(label("import_look"), elem_id="import-look")
                    take = gr.Button(label("import_take"), interactive=False, variant="primary", elem_id="import-take")
            with gr.Column(scale=3, min_width=320):
                outcome = html_block(elem_id="import-outcome")

    def look_through(
        folder: str, before: str, files: list[str] | None, path: str, name: str, layers: list[str], request: gr.Request
    ) -> Iterator[tuple[Any, ...]]:
        page.scratch.forget(Path(before))
        yield from previewed(page.scratch, folder, files or [], path, name, layers, request)

    def take_in(
        folder: str, source: str, name: str, layers: list[str], request: gr.Request
    ) -> Iterator[tuple[Any, ...]]:
        yield from taken(page.scratch, folder, source, name, layers, request)

    given = [page.project, folder_of_set, files, path, speaker, tiers]
    # What is chosen is looked through at once, and again when a tier is ticked.
    for trigger in (look.click, files.upload, path.submit, tiers.input):
        bind(trigger, look_through, given, [outcome, folder_of_set, take, tiers], **in_turn("import"))
    changed = [outcome, folder_of_set, take, files, path, tiers]
    bind(take.click, take_in, [page.project, folder_of_set, speaker, tiers], changed, **in_turn("import"))
    bind(files.clear, cleared, [page.project], [outcome, take, tiers])
    bind(tab.select, show, [page.project, folder_of_set], [outcome])


def _fields(page: Page) -> tuple[gr.File, gr.Textbox, gr.Textbox, gr.CheckboxGroup]:
    """(files, path, speaker, tiers)."""
    files = gr.File(label=label("import_files"), file_count="multiple", elem_id="import-files", height=180)
    path = gr.Textbox(
        "", label=label("import_folder"), placeholder="/home/…", elem_id="import-folder", visible=page.local
    )
    folder_picker.build(page, path, "import-folders")
    tiers = gr.CheckboxGroup(
        [], label=label("import_tiers"), info=label("import_tiers_info"), elem_id="import-tiers", visible=False
    )
    speaker = gr.Textbox("", label=label("import_speaker"), info=label("import_speaker_info"))
    return files, path, speaker, tiers


def previewed(
    scratch: Scratch, folder: str, files: list[str], path: str, speaker: str, tiers: list[str], request: gr.Request
) -> Iterator[tuple[Any, ...]]:
    """(outcome, folder of the set, take, tiers): what an import would do, or why it would do nothing."""
    say, project = words_for(request), opened(folder)
    closed, same = gr.Button(interactive=False), gr.skip()
    try:
        with gathered(scratch, files, path) as source:
            yield notice(say("import_looking")), "", closed, same
            there = found_tiers(project, asked(source, "", []))
            chosen = [name for name in tiers if name in {tier.name for tier in there}]
            ticks = _ticks(there, chosen, say)
            try:
                expected = preview(project, asked(source, speaker, chosen))
            except UsageError:
                if chosen or len(there) < 2:
                    raise
                yield card(say("import_preview"), notice(say("import_tick"), "warn")), str(source), closed, ticks
                return
        yield _described(expected, say, done=False), str(source), gr.Button(interactive=bool(expected.clips)), ticks
    except (LectError, OSError) as error:
        yield notice(sentence_of(error, say), "bad"), "", closed, same


def taken(
    scratch: Scratch, folder: str, source: str, speaker: str, tiers: list[str], request: gr.Request
) -> Iterator[tuple[Any, ...]]:
    """(outcome, folder of the set, take, files, path, tiers): the import, which goes on when the window is closed."""
    say, project, wanted = words_for(request), opened(folder), asked(Path(source), speaker, tiers)

    def work(report: Callable[[Any], None]) -> ImportOutcome:
        with scratch.using(wanted.source):
            return import_set(project, wanted, report)

    try:
        for at, done in progressing(work):
            if at is not None:
                total = say("count_recordings", count=at.total)
                yield meter(at.done / at.total, say("importing", done=at.done, total=total)), *[gr.skip()] * 5
            if done is not None:
                nothing = gr.CheckboxGroup([], value=[], visible=False)
                yield _described(done, say, done=True), "", gr.Button(interactive=False), None, "", nothing
    except (LectError, OSError) as error:
        yield notice(sentence_of(error, say), "bad"), *[gr.skip()] * 5


def show(folder: str, source: str, request: gr.Request) -> Any:
    """What can be taken in; what was looked through stays in view."""
    if folder and source:
        return gr.skip()
    say = words_for(request)
    return notice(say("import_what")) if folder else empty(say("no_project"), say("tab_project"), "project")


def cleared(folder: str, request: gr.Request) -> tuple[Any, ...]:
    """(outcome, take, tiers) when the files are taken back."""
    nothing = gr.CheckboxGroup([], value=[], visible=False)
    return show(folder, "", request), gr.Button(interactive=False), nothing


@contextlib.contextmanager
def gathered(scratch: Scratch, files: list[str], path: str) -> Iterator[Path]:
    """One folder with everything that was given; a named folder is read where it is. Raises UsageError."""
    if path.strip():
        yield Path(path.strip()).expanduser()
    elif not files:
        raise UsageError("Nothing is chosen: choose recordings with their texts, a zip, or a folder.")
    else:
        with scratch.filling() as folder:
            # Zips first: a file that is linked below is the upload itself, and must not be written over.
            for file in sorted(map(Path, files), key=lambda file: not zipfile.is_zipfile(file)):
                _gather(file, folder)
            yield only_folder(folder)


def _gather(file: Path, folder: Path) -> None:
    if zipfile.is_zipfile(file):
        there = sum(each.stat().st_size for each in folder.rglob("*"))
        unpack(file, folder, max(0, MOST_UNZIPPED_BYTES - there))
    elif (target := folder / file.name).exists():
        raise UsageError(f"Two files are called {file.name}: put them into a zip, in folders of their own.")
    else:
        try:
            os.link(file, target)
        except OSError:  # a file system without links
            shutil.copyfile(file, target)


def asked(source: Path, speaker: str, tiers: list[str]) -> ImportRequest:
    """What the fields ask for; the speaker is that of recordings that name none, and the others' are taken too."""
    shown = "What you chose" if "lect-import-" in str(source) or "lect-page-" in str(source) else ""
    names = tuple(map(glob.escape, tiers))  # a tier's own name may hold * and ?
    return ImportRequest(source, tiers=names, speaker=speaker.strip(), shown=shown, others=True)


def _ticks(there: list[FoundTier], chosen: list[str], say: Say) -> gr.CheckboxGroup:
    """The tiers to tick, each with what is in it; nothing where there is no choice."""
    named = {tier.name: tier for tier in there}  # two of one name are ticked together
    choices = [(_tier(tier, say), name) for name, tier in named.items()]
    return gr.CheckboxGroup(choices, value=chosen, visible=len(named) > 1)


def _tier(tier: FoundTier, say: Say) -> str:
    facts = (tier.name, tier.kind, tier.participant, say("count_annotations", count=tier.annotations))
    return " · ".join(filter(None, (*facts, duration(tier.seconds, say))))


def _described(outcome: ImportOutcome, say: Say, done: bool) -> str:
    figures = [
        (str(outcome.clips), say("import_taken" if done else "import_would")),
        (duration(outcome.seconds, say), say("fact_length")),
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
            duration(tier.seconds, say),
            "✓" if tier.chosen else "–",
        )
        for tier in tiers
    ]
    return table(headings, rows, numbers=(1, 2)) if rows else ""


def _files(found: list[tuple[Path, str]], heading: str, title: str, say: Say) -> str:
    rows = [(text(path.name), text(sentence)) for path, sentence in found[:SHOWN]]
    return table([say("column_file"), heading], rows, title) if rows else ""
