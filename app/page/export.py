"""Export: a run as a file to carry away, in three forms; and whether a file from elsewhere is whole."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from lect.engine.contract.builds import BUILDS
from lect.engine.contract.errors import LectError
from lect.engine.contract.run_files import RunFiles
from lect.engine.data.clips import Run
from lect.engine.data.store import Project

from ..output import percent, size
from . import folders, recent, run_view
from .events import bind, html_block, progressing, sentence_of
from .header import show as header
from .markup import card, chips, empty, notice, onward, table, text
from .markup import label as fact
from .shared import Page, opened
from .texts import Say, label, words_for

FORMS = ("pack", *folders.FORMS)


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_export"), id="export", interactive=False) as tab:
        page.needs_project.append(tab)
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=2, min_width=300):
                with gr.Column(visible=False) as fields:
                    run, form, numbers = _choices()
                    with gr.Column() as words:
                        name, licence, notes = _card_fields()
                    make = gr.Button(label("export_make"), variant="primary", elem_id="export-make")
                with gr.Accordion(label("export_verify"), open=False, elem_id="verify"):
                    stranger = gr.File(
                        label=label("export_verify_file"), file_types=[".lect"], elem_id="verify-file", height=120
                    )
                    verdict = html_block(elem_id="verify-verdict")
            with gr.Column(scale=3, min_width=320):
                made = html_block(elem_id="export-made")
                packs = html_block(elem_id="packs")

    outputs = [made, packs, page.header]
    bind(tab.select, show, [page.project], [fields, run, name, made, packs])
    bind(form.input, choose_form, [form], [words, numbers])
    bind(make.click, export, [page.project, run, form, numbers, name, licence, notes], outputs)
    bind(stranger.upload, verify, [stranger], [verdict])


def _choices() -> tuple[gr.Dropdown, gr.Radio, gr.Radio]:
    """(run, form, numbers)."""
    forms = [(label(f"form_{name}"), name) for name in FORMS]
    run = gr.Dropdown([], label=label("column_run"), elem_id="export-run")
    form = gr.Radio(forms, value=FORMS[0], label=label("export_form"), elem_id="export-form")
    numbers = gr.Radio(
        BUILDS, value=BUILDS[0], label=label("transcribe_compute"), elem_id="export-build", visible=False
    )
    return run, form, numbers


def _card_fields() -> tuple[gr.Textbox, gr.Textbox, gr.Textbox]:
    """(name, licence, notes): what a pack's model card says beside figures."""
    name = gr.Textbox("", label=label("export_name"), elem_id="export-name")
    licence = gr.Textbox("", label=label("export_licence"), placeholder="CC-BY-4.0", elem_id="export-licence")
    notes = gr.Textbox(
        "", label=label("export_notes"), info=label("export_notes_info"), lines=3, elem_id="export-notes"
    )
    return name, licence, notes


def show(folder: str, request: gr.Request) -> tuple[Any, ...]:
    """(the fields, run, name, made, packs)."""
    say = words_for(request)
    if not folder:
        return (
            gr.Column(visible=False),
            gr.Dropdown([]),
            "",
            empty(say("no_project"), say("tab_project"), "project"),
            "",
        )
    project = opened(folder)
    runs = [run.id for run in project.runs() if RunFiles(run.folder).best.exists()]
    made = notice(say("export_what")) if runs else empty(say("results_none"), say("tab_train"), "train")
    choice = gr.Column(visible=bool(runs)), gr.Dropdown(runs[::-1], value=runs[-1] if runs else None)
    return *choice, project.name, made, _files(project, say)


def choose_form(form: str) -> tuple[Any, ...]:
    """(the fields of the model card, the choice of numbers): what this form has."""
    return gr.Column(visible=form == "pack"), gr.Radio(visible=form == "portable")


def export(
    folder: str, run_id: str | None, form: str, numbers: str, name: str, licence: str, notes: str, request: gr.Request
) -> Iterator[tuple[Any, ...]]:
    """Makes it and checks it; it goes on when the window is closed."""
    from ..options import find_run

    project, say = opened(folder), words_for(request)
    found = find_run(project, run_id or "latest")
    yield notice(say("export_working" if form == "pack" else "export_working_long")), gr.skip(), gr.skip()
    if form == "pack":
        shown = _pack(project, found, name, licence, notes, say)
    else:
        work = progressing(lambda report: folders.export(project, found.id, form, numbers))
        exported = next(result for _, result in work)
        assert exported is not None
        shown = _folder(project, exported, say)
    yield shown, _files(project, say), header(folder, request)


def _pack(project: Project, found: Run, name: str, licence: str, notes: str, say: Say) -> str:
    from lect.exports.pack_assembly import check_packable, default_path, pack_contents, pack_run

    check_packable(found)
    path = default_path(project, found)
    contents = pack_contents(project, found, name=name.strip() or None, licence=licence.strip() or None, notes=notes)
    report = pack_run(project, found, path, contents)
    figures = [
        (size(report.bytes), say("export_size")),
        (f"{report.parameters:,}", say("export_numbers", count=report.parameters)),
        (str(report.files), say("export_files", count=report.files)),
    ]
    links = _download(_pack_address(project, len(project.packs()) - 1), path.name, say)
    links += onward(say("export_try"), "transcribe", "act")
    card_text = f"<details><summary>{text(say('export_card'))}</summary><pre>{text(_model_card(path))}</pre></details>"
    body = (
        notice(say("export_whole"), "good")
        + run_view.advice(RunFiles(found.folder).dev_scores(), say)
        + chips(figures)
        + f'<div class="links">{links}</div>'
        + card_text
    )
    return card(path.name, body)


def _folder(project: Project, exported: folders.Exported, say: Say) -> str:
    """What `lect export` made, and what its gate measured."""
    path, clips = exported.path, say("count_clips", count=exported.clips)
    rows = [(each.build, percent(each.cer), percent(each.wer)) for each in exported.rates]
    headings = [say("transcribe_compute"), "CER", "WER"]
    rates = table(headings, rows, say("export_rates", clips=clips), numbers=(1, 2)) if rows else ""
    link = _download(_zip_address(project, path), path.name, say)
    figures = chips([(size(path.stat().st_size), say("export_size"))])
    passed = notice(say("export_same", clips=clips), "good")
    return card(path.name, passed + figures + rates + f'<div class="links">{link}</div>')


def _download(address: str, name: str, say: Say) -> str:
    words = text(say("export_download", name=name))
    return f'<a class="act primary" id="download" href="{address}" download>{words}</a>'


def verify(path: str | None, request: gr.Request) -> str:
    """Whether a pack from elsewhere is whole, and what it says of itself."""
    from lect.exports.pack import verify_pack

    if not path:
        return ""
    say, report = words_for(request), verify_pack(Path(path))
    manifest = report.manifest
    facts = [
        (say("export_name"), manifest.name),
        (say("project_language"), manifest.language),
        (say("train_backbone"), f"{manifest.backbone} ({manifest.backbone_sha256[:12]})"),
        (say("train_method"), str(manifest.method.get("method", "?"))),
        (say("export_rules"), manifest.normalisation),
        *((f"CER {split}", percent(rates["cer"])) for split, rates in manifest.scores.items()),
    ]
    return (
        notice(say("export_whole"), "good") + "<dl>" + "".join(fact(key, text(value)) for key, value in facts) + "</dl>"
    )


def only_packs(path: str | None, request: gr.Request) -> Any:
    """Takes a file back that is no pack, where it is chosen."""
    from lect.exports.pack import verify_pack

    try:
        if path:
            verify_pack(Path(path))
    except (LectError, OSError) as error:
        gr.Warning(text(sentence_of(error, words_for(request))), duration=20)
        return None
    return gr.skip()


def _files(project: Project, say: Say) -> str:
    """All that was exported, the newest first."""
    packs = project.packs()
    rows = [
        (_link(_pack_address(project, number), one.path), text(one.run), text(size(one.path.stat().st_size)))
        for number, one in reversed(list(enumerate(packs)))
        if one.path.is_file() and one.path not in {later.path for later in packs[number + 1 :]}
    ]
    rows += [
        (_link(_zip_address(project, path), path), text(path.name.partition("-")[0]), text(size(path.stat().st_size)))
        for path in folders.zips(project)
    ]
    headings = [say("column_file"), say("column_run"), say("export_size")]
    return table(headings, rows, say("export_packs"), numbers=(2,)) if rows else ""


def _link(address: str, path: Path) -> str:
    return f'<a href="{address}" download>{text(path.name)}</a>'


def _pack_address(project: Project, number: int) -> str:
    return f"/project/{recent.key(project.folder)}/pack/{number}"


def _zip_address(project: Project, path: Path) -> str:
    return f"/project/{recent.key(project.folder)}/export/{path.name}"


def _model_card(path: Path) -> str:
    import zipfile

    from lect.exports.pack import CARD

    with zipfile.ZipFile(path) as archive:
        return archive.read(CARD).decode()
