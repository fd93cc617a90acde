"""Export: a run as one verified file to carry away; and whether a file from elsewhere is whole."""

from pathlib import Path
from typing import Any

import gradio as gr

from app.output import percent, size
from app.page import recent
from app.page.events import bind, html_block
from app.page.markup import card, chips, empty, notice, table, text
from app.page.markup import label as fact
from app.page.shared import Page, opened
from app.page.texts import Say, label, words_for
from engine.store import Project


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_export"), id="export") as tab:
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=2, min_width=300):
                run = gr.Dropdown([], label=label("column_run"), elem_id="export-run")
                name = gr.Textbox("", label=label("export_name"), elem_id="export-name")
                licence = gr.Textbox(
                    "", label=label("export_licence"), placeholder="CC-BY-4.0", elem_id="export-licence"
                )
                make = gr.Button(label("export_make"), variant="primary", elem_id="export-make")
                with gr.Accordion(label("export_verify"), open=False, elem_id="verify"):
                    stranger = gr.File(
                        label=label("export_verify_file"), file_types=[".lect"], elem_id="verify-file", height=120
                    )
                    verdict = html_block(elem_id="verify-told")
            with gr.Column(scale=3, min_width=320):
                made = html_block(elem_id="export-made", picks=True)
                packs = html_block(elem_id="packs", picks=True)

    bind(tab.select, show, [page.project], [run, name, made, packs])
    bind(make.click, pack, [page.project, run, name, licence], [made, packs, page.header], show_progress="minimal")
    bind(stranger.upload, verify, [stranger], [verdict])
    page.leads(made)
    page.leads(packs)


def show(folder: str, request: gr.Request) -> tuple[Any, ...]:
    """(run, name, made, packs)."""
    say = words_for(request)
    if not folder:
        return gr.Dropdown([]), "", empty(say("no_project"), say("tab_project"), "project"), ""
    project = opened(folder)
    runs = [run.id for run in project.runs() if (run.folder / "best.safetensors").exists()]
    told = notice(say("export_what")) if runs else empty(say("results_none"), say("tab_train"), "train")
    return gr.Dropdown(runs[::-1], value=runs[-1] if runs else None), project.name, told, _packs(project, say)


def pack(folder: str, run_id: str | None, name: str, licence: str, request: gr.Request) -> tuple[Any, ...]:
    """Writes the pack and checks it as a stranger would."""
    from app.commands.pack import contents, default_path, write
    from app.options import find_run
    from app.page.header import show as header

    project, say = opened(folder), words_for(request)
    found = find_run(project, run_id or "latest")
    path = default_path(project, found)
    report = write(
        project, found, path, contents(project, found, name=name.strip() or None, licence=licence.strip() or None)
    )
    figures = chips(
        [
            (size(report.bytes), say("export_size")),
            (f"{report.parameters:,}", say("export_numbers")),
            (str(report.files), say("export_files")),
        ]
    )
    address = _address(project, len(project.packs()) - 1)
    download = text(say("export_download", name=path.name))
    links = (
        f'<a class="act primary" id="download" href="{address}" download>{download}</a>'
        f'<button class="act" data-pick="transcribe">{text(say("export_try"))} →</button>'
    )
    card_text = f"<details><summary>{text(say('export_card'))}</summary><pre>{text(_model_card(path))}</pre></details>"
    shown = card(
        path.name, notice(say("export_whole"), "good") + figures + f'<div class="links">{links}</div>' + card_text
    )
    return shown, _packs(project, say), header(folder, request)


def verify(path: str | None, request: gr.Request) -> str:
    """Whether a pack from elsewhere is whole, and what it says of itself."""
    from exports.pack import verify_pack

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
    told = notice(say("export_whole"), "good")
    return told + "<dl>" + "".join(fact(key, text(value)) for key, value in facts) + "</dl>"


def _packs(project: Project, say: Say) -> str:
    packs = project.packs()
    rows = [
        (
            f'<a href="{_address(project, number)}" download>{text(one.path.name)}</a>',
            text(one.run),
            text(size(one.path.stat().st_size)),
            text(one.created[:16].replace("T", " ")),
        )
        for number, one in reversed(list(enumerate(packs)))
        if one.path.is_file() and one.path not in {later.path for later in packs[number + 1 :]}
    ]
    headings = [say("column_file"), say("column_run"), say("export_size"), say("column_made")]
    return table(headings, rows, say("export_packs"), numbers=(2,)) if rows else ""


def _address(project: Project, number: int) -> str:
    return f"/project/{recent.key(project.folder)}/pack/{number}"


def _model_card(path: Path) -> str:
    import zipfile

    from exports.pack import CARD

    with zipfile.ZipFile(path) as archive:
        return archive.read(CARD).decode()
