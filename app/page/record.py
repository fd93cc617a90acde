"""Recording, one sentence at a time: read, listen, see the verdict, keep. A take that is kept is on the disk at once.

The microphone itself is in the browser (assets/page/recorder.js) or in `soundcard`; both hand over a WAV file.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from lect.engine.audio.quality import usable
from lect.engine.audio.reading import load_audio
from lect.engine.contract.errors import UsageError
from lect.engine.data.clips import Take, make_take
from lect.engine.data.store import Project

from . import record_view, sentences, soundcard
from .events import bind, bind_pick, html_block, in_turn
from .header import show as header
from .markup import empty, notice
from .shared import Page, opened
from .texts import Say, label, words_for

IN_TURN = in_turn("record")


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_record"), id="record") as tab:
        at, take = gr.State(0), gr.State(None)  # a sentence's place; the `Take` of it that may be kept
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=3, min_width=320):
                prompt = html_block(elem_id="prompt", picks=True)
                with gr.Column(visible=False, elem_id="recording") as studio:
                    with gr.Column(elem_id="browser-microphone") as browser:
                        html_block('<lect-recorder target="take"></lect-recorder>')
                        upload = gr.UploadButton("take", elem_id="take", elem_classes="away", file_types=["audio"])
                    device = soundcard.build(page)
                    verdict = html_block(elem_id="verdict")
                    with gr.Row(elem_classes="keys", elem_id="take-buttons"):
                        back = gr.Button("←", elem_id="back", min_width=50, scale=0)
                        keep = gr.Button(label("record_keep"), elem_id="keep", variant="primary", interactive=False)
                        skip = gr.Button(label("record_skip"), elem_id="skip")
                        gap = gr.Button(label("record_gap"), elem_id="gap")
                        forward = gr.Button("→", elem_id="forward", min_width=50, scale=0)
                    reason = gr.Textbox("", label=label("record_reason"), elem_id="reason", placeholder="…")
                    html_block(record_view.keys_help())
            with gr.Column(scale=2, min_width=280):
                speaker, source, progress, typed, add, files, added = _beside(page.local)

    view = [prompt, studio, progress, at]
    fresh = [*view, verdict, take, keep]
    where = [page.project, speaker, at]
    bind(tab.select, show_first_gap, [page.project, speaker], view, **IN_TURN)
    bind(speaker.change, show_first_gap, [page.project, speaker], view, **IN_TURN)
    bind(upload.upload, judge, [upload, *where], [verdict, take, keep], **IN_TURN)
    bind(device.take.change, judge, [device.take, *where], [verdict, take, keep], **IN_TURN)
    bind(
        source.input,
        use_source,
        [source],
        [browser, device.column, device.problem, device.list, device.start],
        **IN_TURN,
    )
    bind(keep.click, keep_take, [*where, take], [*fresh, page.header], **IN_TURN)
    bind(skip.click, skip_sentence, [*where, reason], [*fresh, reason], **IN_TURN)
    bind(add.click, add_typed, [page.project, speaker, typed], [typed, added, *view], **IN_TURN)
    bind(files.upload, add_file, [page.project, speaker, files], [added, *view], **IN_TURN)
    bind_pick(prompt, pick, where, [page.header, *fresh], **IN_TURN)
    _moves(back, forward, gap, where, fresh)


def _beside(local: bool) -> tuple[Any, ...]:
    """(speaker, source, progress, typed, add, files, added): who speaks, into what, and what there is to read."""
    speaker = gr.Textbox("", label=label("record_speaker"), info=label("record_speaker_info"), elem_id="speaker")
    source = gr.Radio(_sources(), value="browser", label=label("source"), elem_id="source", visible=local)
    progress = html_block(elem_id="record-progress")
    typed = gr.Textbox(
        "",
        label=label("sentences_type"),
        info=label("sentences_type_info"),
        lines=5,
        elem_id="typed",
        elem_classes="speech",
    )
    with gr.Row():
        add = gr.Button(label("sentences_add"), elem_id="add-sentences")
        files = gr.UploadButton(
            str(label("sentences_file")), file_types=[".txt", ".tsv", ".csv"], elem_id="sentence-file"
        )
    added = html_block(elem_id="sentences-added")
    return speaker, source, progress, typed, add, files, added


def _moves(back: gr.Button, forward: gr.Button, gap: gr.Button, where: list[Any], fresh: list[Any]) -> None:
    def go_back(folder: str, speaker: str, at: int, request: gr.Request) -> Any:
        return move(folder, speaker, at - 1, request)

    def go_on(folder: str, speaker: str, at: int, request: gr.Request) -> Any:
        return move(folder, speaker, at + 1, request)

    def to_gap(folder: str, speaker: str, at: int, request: gr.Request) -> Any:
        return *_at_gap(opened(folder), speaker, 0, words_for(request)), *_no_take()

    for button, function in ((back, go_back), (forward, go_on), (gap, to_gap)):
        bind(button.click, function, where, fresh, **IN_TURN)


def show_first_gap(folder: str, speaker: str, request: gr.Request) -> tuple[Any, ...]:
    """At the first sentence that this speaker has not recorded."""
    say = words_for(request)
    if not folder:
        return empty(say("no_project"), say("tab_project"), "project"), gr.skip(), "", 0
    return _at_gap(opened(folder), speaker, 0, say)


def move(folder: str, speaker: str, at: int, request: gr.Request) -> tuple[Any, ...]:
    """At another sentence, without a take."""
    standing = sentences.standing(opened(folder), speaker.strip())
    at = min(max(at, 0), len(standing.sentences))
    return *record_view.sentence(folder, standing, at, words_for(request)), *_no_take()


def use_source(source: str) -> tuple[Any, ...]:
    """Shows the browser's recorder or that of the sound device; (browser, column, problem, list, start)."""
    if source == "browser":
        return gr.Column(visible=True), gr.Column(visible=False), *[gr.skip()] * 3
    return gr.Column(visible=False), gr.Column(visible=True), *soundcard.find()


def judge(path: str | None, folder: str, speaker: str, at: int, request: gr.Request) -> tuple[Any, ...]:
    """(verdict, take, keep button) of a new take of the sentence at `at`, before anything is kept."""
    if not path:
        return _no_take()
    wanted = sentences.read(opened(folder))
    if not 0 <= at < len(wanted):
        raise UsageError("There is no sentence to this recording: choose one, then record it.")
    samples = load_audio(Path(path))
    take = make_take(Path(path), samples, wanted[at].text, speaker)
    shown = record_view.verdict(take.quality, samples, words_for(request))
    return shown, take, gr.Button(interactive=usable(take.quality))


def keep_take(folder: str, speaker: str, at: int, take: Take | None, request: gr.Request) -> tuple[Any, ...]:
    """Keeps the take as a clip of who is named as its speaker, and goes on to the next gap."""
    project, say = opened(folder), words_for(request)
    if take is None:
        raise UsageError("There is no take to keep: record one first.")
    (kept,) = project.keep_all([replace(take, speaker=speaker.strip())])
    if kept.duplicate:
        gr.Warning(say("record_duplicate"))
    if isinstance(take.source, Path):
        take.source.unlink(missing_ok=True)  # the project has it
    return *_at_gap(project, speaker, at, say), *_no_take(), header(folder, request)


def skip_sentence(folder: str, speaker: str, at: int, reason: str, request: gr.Request) -> tuple[Any, ...]:
    """Marks a sentence as not to be read, or as to be read again."""
    project, say = opened(folder), words_for(request)
    wanted = sentences.read(project)
    if 0 <= at < len(wanted):
        sentences.skip(project, wanted[at].text, "" if wanted[at].skipped else reason or say("record_no_reason"))
    return *_at_gap(project, speaker, at, say), *_no_take(), ""


def add_typed(folder: str, speaker: str, typed: str, request: gr.Request) -> tuple[Any, ...]:
    """Adds the sentences of the field."""
    return "", *_add(folder, speaker, typed, request)


def add_file(folder: str, speaker: str, path: str, request: gr.Request) -> tuple[Any, ...]:
    """Adds the sentences of a file."""
    file = Path(path)
    return _add(folder, speaker, sentences.decode(file.read_bytes(), file.name), request)


def pick(value: str, folder: str, speaker: str, at: int, request: gr.Request) -> tuple[Any, ...]:
    """What the buttons in the sentence's frame do: delete a take that was kept, or bring it back."""
    kind, _, name = value.partition(":")
    project, clip = opened(folder), int(name)
    project.delete([clip]) if kind == "delete" else project.restore([clip])
    deleted = clip if kind == "delete" else 0
    standing = sentences.standing(project, speaker.strip())
    view = record_view.sentence(folder, standing, at, words_for(request), deleted)
    return header(folder, request), *view, *_no_take()


def _add(folder: str, speaker: str, text_of_file: str, request: gr.Request) -> tuple[Any, ...]:
    project, say = opened(folder), words_for(request)
    texts = sentences.parse(text_of_file)
    if not texts:
        raise UsageError("There is no sentence: write one a line.")
    total = say("count_sentences", count=len(texts))
    notices = [notice(say("sentences_added", count=sentences.add(project, texts), total=total), "good")]
    if long := sentences.too_long(texts):
        notices.append(notice(say("sentences_long", count=len(long), example=long[0][:60]), "warn"))
    if odd := sentences.unusual(texts):
        notices.append(notice(say("sentences_unusual", characters=" ".join(odd[:20])), "warn"))
    return "".join(notices), *show_first_gap(folder, speaker, request)


def _at_gap(project: Project, speaker: str, start: int, say: Say) -> tuple[Any, ...]:
    """The view at the first sentence from `start` on, and round, that this speaker lacks; else behind the last."""
    standing = sentences.standing(project, speaker.strip())
    gap = standing.first_gap(start) if standing.sentences else None
    return record_view.sentence(str(project.folder), standing, len(standing.sentences) if gap is None else gap, say)


def _no_take() -> tuple[Any, ...]:
    """(verdict, take, keep button) while there is none."""
    return "", None, gr.Button(interactive=False)


def _sources() -> list[tuple[Any, str]]:
    return [(label("source_browser"), "browser"), (label("source_soundcard"), "soundcard")]
