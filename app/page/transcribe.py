"""Recordings to text with a pack or a backbone alone, by the same runtime as `lect transcribe`: no PyTorch, no network;
or cut at their pauses, to be written by a person. Both become drafts, which the editor opens.

It needs no project: a backbone that writes text by itself stands beside the packs.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

from lect.engine.contract.builds import BUILDS
from lect.engine.contract.errors import LectError, UsageError, os_sentence
from lect.exports.transcript import Transcript

from . import found_whispers, languages, recent, transcripts
from .backbones import Installed, spoken_by, writers
from .editor import teaching
from .editor.cutting import cut_only
from .editor.place import NO_PROJECT, place_of
from .events import bind, bind_pick, html_block
from .export import only_packs
from .markup import empty, notice
from .shared import Page, opened
from .texts import Say, label, words_for
from .transcripts import Transcribed

OPENED = 3  # packs kept open


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_transcribe"), id="transcribe") as tab:
        number = gr.State("")  # of the draft that the editor shows
        seen = gr.State([])  # what there was to choose from when the step was last shown
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
                with gr.Row():
                    go = gr.Button(label("transcribe_go"), variant="primary", elem_id="transcribe-go", min_width=140)
                    cut = gr.Button(label("transcribe_cut"), elem_id="transcribe-cut", min_width=140)
                other, beside, *rest = _more()
                added = found_whispers.build(page, "transcribe")
            with gr.Column(scale=3, min_width=320):
                result = html_block(elem_id="transcribed")
                drafts = html_block(picks=True, elem_id="drafts")
                rounds = html_block(elem_id="rounds")
        editor = html_block(elem_id="editor")

    settings = [page.project, pack, language, other, beside, *rest]
    kept = [drafts, editor, number]

    def run_spoken(request: gr.Request, path: str | None, *rest: Any) -> Any:
        yield from run(request, [path] if path else None, *rest)

    choice = [pack, beside, language]
    for trigger in (tab.select, page.project.change, *added):
        bind(trigger, show, [page.project, page.language, seen], [seen, *choice, result])
    for trigger in (tab.select, page.project.change):
        bind(trigger, show_drafts, [page.project, number], [*kept, rounds])
    for chosen in (pack, beside):
        bind(chosen.input, choose, [page.project, page.language, *choice], [language])
    bind(go.click, run, [files, *settings], [result, *kept])
    bind(cut.click, cut_at_pauses, [files, page.project], [result, *kept])
    bind(spoken.upload, run_spoken, [spoken, *settings], [result, *kept])
    bind_pick(drafts, pick, [page.project, number], kept)
    bind(other.upload, only_packs, [other], [other])


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


def show_drafts(folder: str, number: str, request: gr.Request) -> tuple[Any, ...]:
    """(the list, the editor, its draft's number, the rounds): the draft that was open, else the latest."""
    place, say = place_of(folder), words_for(request)
    entries = place.entries()
    numbers = [each.number for each in entries]
    if number not in numbers:
        number = next(iter(numbers), "")
    curve = teaching.curve(opened(folder), say) if folder else ""
    return transcripts.listed(entries, number, say), _editor(folder, number), number, curve


def pick(value: str, folder: str, number: str, request: gr.Request) -> tuple[Any, ...]:
    """Opens a draft of the list; with a minus, it goes to the trash."""
    place = place_of(folder)
    if value.startswith("-"):
        place.discard(value[1:])
    return show_drafts(folder, number if value.startswith("-") else value, request)[:3]


def _editor(folder: str, number: str) -> str:
    key = recent.key(Path(folder)) if folder else NO_PROJECT
    return f'<lect-editor at="/project/{key}/transcript/{number}"></lect-editor>' if number else ""


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
    names = [path.name.removesuffix(".lect") for path in sources]
    yield from _kept(map(Path, files), lambda path: [_one(runtime, path) for runtime in runtimes], names, folder, say)


def cut_at_pauses(files: list[str] | None, folder: str, request: gr.Request) -> Iterator[tuple[Any, ...]]:
    """Drafts without text, whose segments a person writes."""
    if not files:
        raise UsageError("Nothing is chosen: choose recordings, or speak.")
    say = words_for(request)
    yield notice(say("transcribe_cutting")), gr.skip(), gr.skip(), gr.skip()
    yield from _kept(map(Path, files), lambda path: [_made(path, cut_only)], [say("transcribe_cut")], folder, say)


def _kept(
    files: Iterable[Path], written: Callable[[Path], list[Transcribed]], names: list[str], folder: str, say: Say
) -> Iterator[tuple[Any, ...]]:
    """Keeps what is written of each file as a draft, and shows it; the first opens in the editor."""
    place, files = place_of(folder), list(files)
    results, numbers = list[list[Transcribed]](), list[str]()
    for file in files:
        results.append(written(file))
        if transcript := results[-1][0].transcript:
            numbers.append(place.add(file.name, file, transcript))
        result = transcripts.shown(names, results, len(files), say)
        if len(numbers) > 1:
            key = recent.key(Path(folder)) if folder else NO_PROJECT
            result += transcripts.links(key, numbers, say)
        opened_number = next(iter(numbers), "")
        listed = transcripts.listed(place.entries(), opened_number, say)
        first = len(numbers) == 1 and transcript
        yield result, listed, _editor(folder, opened_number) if first else gr.skip(), opened_number or gr.skip()


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
    return _made(path, runtime.transcribe)


def _made(path: Path, transcribe: Callable[[Path], Transcript]) -> Transcribed:
    try:
        return Transcribed(path.name, transcribe(path))
    except (LectError, OSError) as error:
        return Transcribed(path.name, error=os_sentence(error) if isinstance(error, OSError) else str(error))
