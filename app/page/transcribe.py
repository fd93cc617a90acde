"""Recordings to text with a pack, by the same runtime as `lect transcribe`: no PyTorch, no network."""

import base64
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

from lect.engine.contract.builds import BUILDS
from lect.engine.contract.errors import LectError, UsageError, os_sentence

from . import transcripts
from .events import bind, html_block
from .markup import empty, notice
from .shared import Page, opened
from .texts import label, words_for
from .transcripts import FORMATS, Transcribed

OPENED = 3  # packs kept open


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_transcribe"), id="transcribe") as tab:
        found = gr.State([])  # the transcripts of which files are made
        made = gr.Textbox("", visible="hidden", elem_id="made")  # the last file, which the browser saves
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=2, min_width=300):
                pack = gr.Dropdown([], label=label("transcribe_pack"), elem_id="pack")
                files = gr.File(
                    label=label("transcribe_files"),
                    file_count="multiple",
                    file_types=["audio", "video"],
                    elem_id="transcribe-files",
                    height=150,
                )
                html_block('<lect-recorder target="spoken"></lect-recorder>')
                spoken = gr.UploadButton("spoken", elem_id="spoken", elem_classes="away", file_types=["audio"])
                go = gr.Button(label("transcribe_go"), variant="primary", elem_id="transcribe-go")
                other, beside, *rest = _more()
            with gr.Column(scale=3, min_width=320):
                result = html_block(elem_id="transcribed")
                with gr.Column(visible=False) as done:
                    words = gr.Textbox(
                        "",
                        label=label("transcribe_text"),
                        lines=6,
                        elem_id="transcript",
                        elem_classes="speech",
                        buttons=["copy"],
                    )
                    with gr.Row(elem_classes="files"):
                        savers = [
                            gr.Button(kind.upper(), elem_id=f"save-{kind}", min_width=60, size="md") for kind in FORMATS
                        ]

    settings = [page.project, pack, other, beside, *rest]
    outputs = [result, words, done, found]

    def run_spoken(request: gr.Request, path: str | None, *rest: Any) -> Any:
        yield from run(request, [path] if path else None, *rest)

    bind(tab.select, show, [page.project], [pack, beside, result])
    bind(go.click, run, [files, *settings], outputs)
    bind(spoken.upload, run_spoken, [spoken, *settings], outputs)
    for kind, saver in zip(FORMATS, savers, strict=True):
        saved = bind(saver.click, saving(kind), [found, words], [made])
        saved.success(None, [made], [], js="(made) => window.lectSave(made)", api_visibility="private")


def _more() -> list[Any]:
    """(a pack from elsewhere, a second pack, beam size, compute type, the backbone's folder)."""
    with gr.Accordion(label("transcribe_other"), open=False, elem_id="other"):
        other = gr.File(label=label("export_verify_file"), file_types=[".lect"], elem_id="other-pack", height=130)
    with gr.Accordion(label("transcribe_more"), open=False, elem_id="transcribe-more"):
        beside = gr.Dropdown([], label=label("transcribe_beside"), elem_id="beside")
        with gr.Row():
            beam = gr.Slider(1, 16, value=4, step=1, label=label("transcribe_beam"), elem_id="beam")
            kind = gr.Radio(BUILDS, value="float32", label=label("transcribe_compute"), elem_id="compute")
        backbone = gr.Textbox("", label=label("transcribe_backbone"), elem_id="transcribe-backbone")
    return [other, beside, beam, kind, backbone]


def show(folder: str, request: gr.Request) -> tuple[Any, ...]:
    """(packs to choose from, packs to compare with, what to do)."""
    say = words_for(request)
    choices = [(Path(path).name, path) for path in _packs(folder)]
    advice = notice(say("transcribe_what")) if choices else empty(say("transcribe_none"), say("tab_export"), "export")
    first = choices[0][1] if choices else None
    nothing = (say("transcribe_alone"), "")
    return gr.Dropdown(choices, value=first), gr.Dropdown([nothing, *choices], value=""), advice


def run(
    request: gr.Request, files: list[str] | None, folder: str, pack: str | None, other: str | None,
    beside: str | None, beam: int, kind: str, backbone: str,
) -> Iterator[tuple[Any, ...]]:  # fmt: skip
    """Transcribes file by file; a bad one is named and the others go on."""
    say = words_for(request)
    if not files:
        raise UsageError("Nothing is chosen: choose recordings, or speak.")
    sources = [Path(other or _of_project(folder, pack))] + ([Path(_of_project(folder, beside))] if beside else [])
    yield notice(say("transcribe_loading")), gr.skip(), gr.skip(), gr.skip()
    runtimes = [opened_runtime(str(path), path.stat().st_mtime, kind, int(beam), backbone.strip()) for path in sources]
    names, results = [path.stem for path in sources], []
    for file in map(Path, files):
        results.append([_one(runtime, file) for runtime in runtimes])
        firsts = [each[0] for each in results]
        shown = transcripts.shown(names, results, len(files), say)
        yield shown, transcripts.editable(firsts), gr.Column(visible=True), firsts


def saving(kind: str) -> Callable[[list[Transcribed], str], str]:
    """A handler that makes a file of the transcripts, as they were corrected: its name and content, for `lectSave`."""

    def save(found: list[Transcribed], words: str) -> str:
        name, content = transcripts.written(kind, found, words)
        return json.dumps({"name": name, "content": base64.b64encode(content).decode()})

    return save


@lru_cache(OPENED)
def opened_runtime(source: str, modified: float, kind: str, beam: int, backbone: str) -> Any:
    """A pack with its graphs loaded; `modified` makes a pack that was written anew another one."""
    from lect.engine.decoding.search import DecodeOptions
    from lect.exports.runtime import Runtime

    return Runtime.open(source, backbone or None, compute_type=kind, options=DecodeOptions(beam_size=beam))


def _packs(folder: str) -> list[str]:
    """The packs of the project that are still there, the latest first."""
    packs = reversed(opened(folder).packs()) if folder else ()
    return list(dict.fromkeys(str(one.path) for one in packs if one.path.is_file()))


def _of_project(folder: str, pack: str | None) -> str:
    """The chosen pack, which must be one of the open project's; the latest while the step is still being filled."""
    packs = _packs(folder)
    if packs and (not pack or pack in packs):
        return pack or packs[0]
    raise UsageError("No pack is chosen: make one in Export, or choose a .lect file.")


def _one(runtime: Any, path: Path) -> Transcribed:
    try:
        return Transcribed(path.name, runtime.transcribe(path))
    except (LectError, OSError) as error:
        return Transcribed(path.name, error=os_sentence(error) if isinstance(error, OSError) else str(error))
