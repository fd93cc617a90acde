"""Recordings to text with a pack or a backbone alone, by the same runtime as `lect transcribe`: no PyTorch, no network.

It needs no project: a backbone that writes text by itself stands beside the packs.
"""

import base64
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

from lect.engine.contract.builds import BUILDS
from lect.engine.contract.errors import LectError, UsageError, os_sentence

from . import found_whispers, languages, transcripts
from .backbones import Installed, spoken_by, writers
from .events import bind, html_block
from .export import only_packs
from .markup import empty, notice
from .shared import Page, opened
from .texts import Say, label, words_for
from .transcripts import FORMATS, Transcribed

OPENED = 3  # packs kept open


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_transcribe"), id="transcribe") as tab:
        found = gr.State([])  # the transcripts of which files are made
        seen = gr.State([])  # what there was to choose from when the step was last shown
        made = gr.Textbox("", visible="hidden", elem_id="made")  # the last file, which the browser saves
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=2, min_width=300):
                pack = gr.Dropdown([], label=label("transcribe_pack"), elem_id="pack")
                language = gr.Dropdown([], label=label("transcribe_language"), elem_id="spoken-language", visible=False)
                files = gr.File(
                    label=label("transcribe_files"),
                    file_count="multiple",
                    elem_id="transcribe-files",
                    height=150,
                )
                html_block('<lect-recorder target="spoken"></lect-recorder>')
                spoken = gr.UploadButton("spoken", elem_id="spoken", elem_classes="away", file_types=["audio"])
                go = gr.Button(label("transcribe_go"), variant="primary", elem_id="transcribe-go")
                other, beside, *rest = _more()
                added = found_whispers.build(page, "transcribe")
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

    settings = [page.project, pack, language, other, beside, *rest]
    outputs = [result, words, done, found]

    def run_spoken(request: gr.Request, path: str | None, *rest: Any) -> Any:
        yield from run(request, [path] if path else None, *rest)

    choice = [pack, beside, language]
    for trigger in (tab.select, page.project.change, *added):
        bind(trigger, show, [page.project, page.language, seen], [seen, *choice, result])
    for chosen in (pack, beside):
        bind(chosen.input, choose, [page.project, page.language, *choice], [language])
    bind(go.click, run, [files, *settings], outputs)
    bind(other.upload, only_packs, [other], [other])
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


def show(folder: str, typed: str, seen: list[str], request: gr.Request) -> tuple[Any, ...]:
    """(what there is, what may write, what may be compared with it, the language, what to do).

    What was chosen stays while there is the same to choose from; a new pack or another project chooses anew.
    """
    say = words_for(request)
    choices, usual = _choices(folder, say), _language(folder, typed)
    now = [folder, usual, *(path for _, path in choices)]
    if now == seen:  # without values, which would undo a click that was made meanwhile
        return (now, *[gr.skip()] * 4)
    pack = choices[0][1] if choices else None
    return (
        now,
        gr.Dropdown(choices, value=pack),
        gr.Dropdown([(say("transcribe_alone"), ""), *choices], value=""),
        _spoken([pack], usual, None, say),
        notice(say("transcribe_what")) if choices else empty(say("transcribe_none"), say("tab_export"), "export"),
    )


def choose(
    folder: str, typed: str, pack: str | None, beside: str | None, language: str | None, request: gr.Request
) -> gr.Dropdown:
    """The languages of what is chosen."""
    return _spoken([pack, beside], _language(folder, typed), language, words_for(request))


def run(
    request: gr.Request, files: list[str] | None, folder: str, pack: str | None, language: str | None,
    other: str | None, beside: str | None, beam: int, kind: str, backbone: str,
) -> Iterator[tuple[Any, ...]]:  # fmt: skip
    """Transcribes file by file; a bad one is named and the others go on."""
    say = words_for(request)
    if not files:
        raise UsageError("Nothing is chosen: choose recordings, or speak.")
    sources = [Path(other or _allowed(folder, pack))] + ([Path(_allowed(folder, beside))] if beside else [])
    yield notice(say("transcribe_loading")), gr.skip(), gr.skip(), gr.skip()
    opened = [opened_runtime(str(path), path.stat().st_mtime, kind, int(beam), backbone.strip()) for path in sources]
    runtimes = [_in_language(runtime, language or "") for runtime in opened]
    names, results = [path.name.removesuffix(".lect") for path in sources], []
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


def _choices(folder: str, say: Say) -> list[tuple[str, str]]:
    """(words, path) of the packs and of the backbones that write by themselves."""
    packs = [(Path(path).name, path) for path in _packs(folder)]
    return packs + [(_alone(one, say), str(one.folder)) for one in writers()]


def _alone(one: Installed, say: Say) -> str:
    return say("backbone_alone", name=one.name, languages=say("count_languages", count=len(one.languages)))


def _allowed(folder: str, chosen: str | None) -> str:
    """What was chosen, which must be one of the open project's packs or an installed backbone; the first of them while
    the step is still being filled."""
    paths = [*_packs(folder), *(str(one.folder) for one in writers())]
    if paths and (not chosen or chosen in paths):
        return chosen or paths[0]
    raise UsageError("Nothing is chosen that could write: make a pack in Export, or choose a .lect file.")


def _language(folder: str, typed: str) -> str:
    return opened(folder).language if folder else typed


def _spoken(chosen: list[str | None], usual: str, before: str | None, say: Say) -> gr.Dropdown:
    """The languages that a Whisper among `chosen` can be told to write; "" lets it find out. No Whisper, no choice.

    usual: the project's, which is chosen at first; before: what stays chosen if it can.
    """
    codes = {code for path in chosen if path for code in spoken_by(Path(path).name)}
    named = sorted((languages.shown(code), code) for code in codes)
    value = before if before is not None and before in {"", *codes} else languages.among(usual, codes)
    return gr.Dropdown([(say("transcribe_detect"), ""), *named], value=value, visible=bool(codes))


def _in_language(runtime: Any, language: str) -> Any:
    """The runtime for one language, where it is a Whisper that knows it; the one that is kept open stays as it is."""
    if not language or runtime.whisper is None or language not in runtime.vocabulary.languages():
        return runtime
    speaking = runtime.for_recording()
    speaking.set_language(language)
    return speaking


def _one(runtime: Any, path: Path) -> Transcribed:
    try:
        return Transcribed(path.name, runtime.transcribe(path))
    except (LectError, OSError) as error:
        return Transcribed(path.name, error=os_sentence(error) if isinstance(error, OSError) else str(error))
