"""Recordings to text with a pack, by the same runtime as `lect transcribe`: no PyTorch, no network."""

import json
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

from app.page.events import bind, html_block
from app.page.markup import card, empty, notice, table, text
from app.page.shared import Page, opened
from app.page.texts import Say, label, words_for
from engine.errors import LectError, UsageError, os_sentence

COMPUTE_TYPES = ("float32", "int8")
UNSURE = 0.6  # a word below is marked
OPENED = 2  # packs kept open
# What is on the page, corrections included, goes to a file without passing the server.
SAVE = """(words) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([words], { type: "text/plain" }));
  link.download = "transcript.%s";
  link.click();
  URL.revokeObjectURL(link.href);
}"""


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_transcribe"), id="transcribe") as tab:
        found = gr.State("")
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
                with gr.Accordion(label("transcribe_other"), open=False, elem_id="other"):
                    other = gr.File(show_label=False, file_types=[".lect"], elem_id="other-pack", height=130)
                with gr.Accordion(label("train_expert"), open=False):
                    with gr.Row():
                        beam = gr.Slider(1, 16, value=4, step=1, label=label("transcribe_beam"), elem_id="beam")
                        kind = gr.Radio(COMPUTE_TYPES, value="float32", label=label("transcribe_compute"))
                    backbone = gr.Textbox("", label=label("transcribe_backbone"), elem_id="transcribe-backbone")
                go = gr.Button(label("transcribe_go"), variant="primary", elem_id="transcribe-go")
            with gr.Column(scale=3, min_width=320):
                told = html_block(elem_id="transcribed")
                with gr.Column(visible=False) as done:
                    words = gr.Textbox(
                        "",
                        label=label("transcribe_text"),
                        lines=6,
                        elem_id="transcript",
                        elem_classes="speech",
                        buttons=["copy"],
                    )
                    with gr.Row():
                        as_text = gr.Button("TXT", elem_id="save-txt")
                        as_json = gr.Button("JSON", elem_id="save-json")

    settings = [page.project, pack, other, beam, kind, backbone]
    outputs = [told, words, done, found]

    def hear(request: gr.Request, path: str | None, *rest: Any) -> Any:
        yield from run(request, [path] if path else None, *rest)

    bind(tab.select, show, [page.project], [pack, told])
    bind(go.click, run, [files, *settings], outputs)
    bind(spoken.upload, hear, [spoken, *settings], outputs)
    as_text.click(None, [words], [], js=SAVE % "txt", api_visibility="private")
    as_json.click(None, [found], [], js=SAVE % "json", api_visibility="private")


def show(folder: str, request: gr.Request) -> tuple[Any, ...]:
    """(packs to choose from, what to do)."""
    say = words_for(request)
    packs = (
        list(dict.fromkeys(str(one.path) for one in reversed(opened(folder).packs()) if one.path.is_file()))
        if folder
        else []
    )
    choices = [(Path(path).name, path) for path in packs]
    told = notice(say("transcribe_what")) if packs else empty(say("transcribe_none"))
    return gr.Dropdown(choices, value=packs[0] if packs else None), told


def run(
    request: gr.Request, files: list[str] | None, folder: str, pack: str | None, other: str | None, beam: int,
    kind: str, backbone: str,
) -> Any:  # fmt: skip
    """Transcribes file by file; a bad one is named and the others go on."""
    say = words_for(request)
    if not files:
        raise UsageError("Nothing is chosen: choose recordings, or speak.")
    source = other or _of_project(folder, pack)
    yield notice(say("transcribe_loading")), gr.skip(), gr.skip(), gr.skip()
    path = Path(source)
    runtime = opened_runtime(str(path), path.stat().st_mtime, kind, int(beam), backbone.strip())
    results: list[dict[str, Any]] = []
    for name in map(Path, files):
        results.append(_one(runtime, name))
        yield _shown(results, len(files), say), _text(results), gr.Column(visible=True), _json(results, path, runtime)


@lru_cache(OPENED)
def opened_runtime(source: str, modified: float, kind: str, beam: int, backbone: str) -> Any:
    """A pack with its graphs loaded; `modified` makes a pack that was written anew another one."""
    from engine.decode import DecodeOptions
    from exports.runtime import Runtime

    return Runtime.open(source, backbone or None, compute_type=kind, options=DecodeOptions(beam_size=beam))


def _of_project(folder: str, pack: str | None) -> str:
    """The chosen pack, which must be one of the open project's."""
    if pack and folder and pack in {str(one.path) for one in opened(folder).packs()}:
        return pack
    raise UsageError("No pack is chosen: make one in Export, or choose a .lect file.")


def _one(runtime: Any, path: Path) -> dict[str, Any]:
    try:
        return {"file": path.name, **asdict(runtime.transcribe(path))}
    except (LectError, OSError) as error:
        return {"file": path.name, "error": os_sentence(error) if isinstance(error, OSError) else str(error)}


def _shown(results: list[dict[str, Any]], total: int, say: Say) -> str:
    rows = [(text(one["file"]), _words(one, say), _figures(one)) for one in results]
    caption = say("transcribe_progress", done=len(results), total=total)
    return card(
        say("transcribe_heard"),
        table(
            [
                say("column_file"),
                say("column_heard"),
                "",
            ],
            rows,
            caption,
        ),
    )


def _words(one: dict[str, Any], say: Say) -> str:
    if "error" in one:
        return f'<span class="bad">{text(one["error"])}</span>'
    if not one["text"]:
        return f'<span class="muted">{text(say("transcribe_silence"))}</span>'
    return f'<bdi class="speech">{" ".join(map(_word, one["words"]))}</bdi>'


def _word(word: dict[str, Any]) -> str:
    kind = ' class="unsure"' if word["confidence"] < UNSURE else ""
    return f'<span{kind} title="{word["confidence"]:.0%}">{text(word["text"])}</span>'


def _figures(one: dict[str, Any]) -> str:
    if "error" in one:
        return ""
    told = f"{one['confidence']:.0%} · {one['seconds']:.1f} s · ×{one['real_time_factor']:.2f}"
    return f'<span class="muted">{told}</span>'


def _text(results: list[dict[str, Any]]) -> str:
    heard = [one for one in results if one.get("text")]
    return (
        heard[0]["text"] if len(results) == 1 and heard else "\n".join(f"{one['file']}\t{one['text']}" for one in heard)
    )


def _json(results: list[dict[str, Any]], pack: Path, runtime: Any) -> str:
    return json.dumps({"pack": pack.name, "device": runtime.device, "files": results}, ensure_ascii=False, indent=2)
