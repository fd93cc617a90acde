"""Recording, one sentence at a time: read, listen, see the verdict, keep. A take that is kept is on the disk at once,
and one that waits to be kept or discarded is too: no key and no reload drops it.

The microphone itself is in the browser (assets/page/recorder.js) or in `soundcard`; both hand over a WAV file.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from lect.engine.audio.quality import usable
from lect.engine.contract.errors import UsageError
from lect.engine.data.store import Project

from . import drafts, record_view, sentence_list, sentences, soundcard, waiting
from .events import Pick, bind, bind_pick, html_block, in_turn
from .header import show as header
from .markup import empty, notice
from .shared import Page, opened
from .texts import Say, label, words_for
from .waiting import Waiting

IN_TURN = in_turn("record")
SPEAKER, SENTENCES = "speaker", "sentences"  # names of drafts


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_record"), id="record", interactive=False) as tab:
        page.needs_project.append(tab)
        at, take = gr.State(0), gr.State("")  # a sentence's place; the name of the take that waits
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=3, min_width=320):
                prompt = html_block(elem_id="prompt", picks=True)
                with gr.Column(visible=False, elem_id="recording") as studio:
                    with gr.Column(elem_id="browser-microphone") as browser:
                        html_block('<lect-recorder target="take" onward="take-onward"></lect-recorder>')
                        upload = gr.UploadButton("take", elem_id="take", elem_classes="away", file_types=["audio"])
                        quick = gr.UploadButton(
                            "take", elem_id="take-onward", elem_classes="away", file_types=["audio"]
                        )
                    device = soundcard.build(page)
                    verdict = html_block(elem_id="verdict")
                    with gr.Row(elem_classes="keys", elem_id="take-buttons"):
                        back = gr.Button("←", elem_id="back", min_width=50, scale=0)
                        keep = gr.Button(label("record_keep"), elem_id="keep", variant="primary", interactive=False)
                        discard = gr.Button(label("record_discard"), elem_id="discard", visible=False)
                        skip = gr.Button(label("record_skip"), elem_id="skip")
                        gap = gr.Button(label("record_gap"), elem_id="gap")
                        forward = gr.Button("→", elem_id="forward", min_width=50, scale=0)
                    reason = gr.Textbox("", label=label("record_reason"), elem_id="reason", placeholder="…")
                    html_block(record_view.keys_help())
            with gr.Column(scale=2, min_width=280):
                speaker, source, progress, typed, add, files, added, listed = _beside(page.local)

    of_take = [verdict, take, keep, discard, back, skip, gap, forward]
    fresh = [prompt, studio, progress, listed, at, *of_take]
    where = [page.project, speaker, at]
    bind(tab.select, show, [*where[:-1], take], fresh, **IN_TURN)
    bind(speaker.change, show, [*where[:-1], take], fresh, **IN_TURN)
    bind(page.project.change, restore, [page.project], [speaker, typed])
    for field, name in ((speaker, SPEAKER), (typed, SENTENCES)):
        bind(field.input, drafting(name), [page.project, field], [], trigger_mode="always_last", **IN_TURN)
    bind(upload.upload, judge, [upload, *where], of_take, **IN_TURN)
    bind(device.take.change, judge, [device.take, *where], of_take, **IN_TURN)
    bind(quick.upload, judge_and_keep, [quick, *where], [*fresh, page.header], **IN_TURN)
    bind(
        source.input,
        lambda chosen: use_source(chosen, device.recording),
        [source],
        [browser, device.column, device.problem, device.list, device.start, device.stop],
        **IN_TURN,
    )
    bind(keep.click, keep_take, [*where, take], [*fresh, page.header], **IN_TURN)
    bind(discard.click, discard_take, [*where, take], of_take, **IN_TURN)
    bind(skip.click, skip_sentence, [*where, reason], [*fresh, reason], **IN_TURN)
    bind(add.click, add_typed, [page.project, speaker, typed], [typed, added, *fresh], **IN_TURN)
    bind(files.upload, add_file, [page.project, speaker, files], [added, *fresh], **IN_TURN)
    bind_pick(prompt, pick, [*where, take], [page.header, *fresh], **IN_TURN)
    bind_pick(listed, list_pick, [*where[:-1], take], fresh, **IN_TURN)
    _moves(back, forward, gap, [*where, take], [*fresh, page.header])


def _beside(local: bool) -> tuple[Any, ...]:
    """(speaker, source, progress, typed, add, files, added, list): who speaks, into what, and what there is to read."""
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
    listed = html_block(elem_id="sentence-list", picks=True)
    return speaker, source, progress, typed, add, files, added, listed


def _moves(back: gr.Button, forward: gr.Button, gap: gr.Button, given: list[Any], outputs: list[Any]) -> None:
    def go_back(folder: str, speaker: str, at: int, take: str, request: gr.Request) -> Any:
        return move(folder, speaker, at - 1, take, request)

    def go_on(folder: str, speaker: str, at: int, take: str, request: gr.Request) -> Any:
        if take and waiting.get(opened(folder), take):
            return keep_take(folder, speaker, at, take, request)
        return move(folder, speaker, at + 1, take, request)

    def to_gap(folder: str, speaker: str, at: int, take: str, request: gr.Request) -> Any:
        return *_at_gap(opened(folder), speaker, 0, words_for(request)), gr.skip()

    for button, function in ((back, go_back), (forward, go_on), (gap, to_gap)):
        bind(button.click, function, given, outputs, **IN_TURN)


def restore(folder: str) -> tuple[str, str]:
    """(speaker, sentences) as they were typed last; what was added meanwhile is left out."""
    if not folder:
        return "", ""
    project = opened(folder)
    typed, known = drafts.read(project, SENTENCES) or "", {one.text for one in sentences.read(project)}
    return drafts.read(project, SPEAKER) or "", "" if set(sentences.parse(typed)) <= known else typed


def drafting(name: str) -> Any:
    """A handler that keeps what is typed in a field."""

    def keep(folder: str, typed: str) -> None:
        if folder:
            drafts.put(opened(folder), name, typed)

    return keep


def show(folder: str, speaker: str, take: str, request: gr.Request) -> tuple[Any, ...]:
    """At the sentence of the take that waits, else at the first that this speaker has not recorded."""
    say = words_for(request)
    if not folder:
        nothing = empty(say("no_project"), say("tab_project"), "project")
        return nothing, gr.skip(), "", "", 0, *_no_take()
    project = opened(folder)
    waits = waiting.get(project, take) or waiting.of_speaker(project, speaker.strip())
    if waits is None:
        return _at_gap(project, speaker, 0, say)
    texts = [one.text for one in sentences.read(project)]
    at = texts.index(waits.sentence) if waits.sentence in texts else 0  # it was taken out of the list meanwhile
    in_view = texts[at] if texts else ""
    return *_sentence(project, speaker, at, say), *_take(project, waits, in_view, say)


def move(folder: str, speaker: str, at: int, take: str, request: gr.Request) -> tuple[Any, ...]:
    """At another sentence; a take that waits stays in view with its own."""
    project, say = opened(folder), words_for(request)
    if take and waiting.get(project, take):
        return *show(folder, speaker, take, request), gr.skip()
    at = min(max(at, 0), len(sentences.read(project)))
    return *_sentence(project, speaker, at, say), *_no_take(), gr.skip()


def use_source(source: str, recording: soundcard.Recording) -> tuple[Any, ...]:
    """Shows the browser's recorder or that of the sound device; (browser, column, problem, list, start, stop)."""
    if source == "browser":
        return gr.Column(visible=True), gr.Column(visible=False), *[gr.skip()] * 4
    return gr.Column(visible=False), gr.Column(visible=True), *soundcard.find(recording)


def judge(path: str | None, folder: str, speaker: str, at: int, request: gr.Request) -> tuple[Any, ...]:
    """A new take of the sentence at `at`: it waits, on the disk, in place of the one before."""
    if not path:
        return tuple(gr.skip() for _ in _no_take())
    project, wanted = opened(folder), sentences.read(opened(folder))
    if not 0 <= at < len(wanted):
        raise UsageError("There is no sentence to this recording: choose one, then record it.")
    before = waiting.of_speaker(project, speaker.strip())
    made = waiting.put(project, Path(path), wanted[at].text, speaker.strip())
    if before:
        waiting.drop(before)
    return _take(project, made, made.sentence, words_for(request))


def judge_and_keep(path: str | None, folder: str, speaker: str, at: int, request: gr.Request) -> tuple[Any, ...]:
    """A new take, which is kept at once if it is good; else it waits with its verdict."""
    project, say = opened(folder), words_for(request)
    _, name, *_ = judged = judge(path, folder, speaker, at, request)
    made = waiting.get(project, name)
    if made and made.read()[0].quality.verdict == "good":
        return keep_take(folder, speaker, at, name, request)
    return *_sentence(project, speaker, at, say), *judged, gr.skip()


def keep_take(folder: str, speaker: str, at: int, take: str, request: gr.Request) -> tuple[Any, ...]:
    """Keeps the take as a clip of who is named as its speaker, and goes on to the next gap."""
    project, say = opened(folder), words_for(request)
    waits = waiting.get(project, take)
    if waits is None:
        raise UsageError("There is no take to keep: record one first.")
    (kept,) = project.keep_all([replace(waits.read()[0], speaker=speaker.strip())])
    if kept.duplicate:
        gr.Warning(say("record_duplicate"))
    waiting.drop(waits)  # the project has it
    return *_at_gap(project, speaker, at, say), header(folder, request)


def discard_take(folder: str, speaker: str, at: int, take: str, request: gr.Request) -> tuple[Any, ...]:
    """Drops the take that waits."""
    if waits := waiting.get(opened(folder), take):
        waiting.drop(waits)
    return _no_take()


def skip_sentence(folder: str, speaker: str, at: int, reason: str, request: gr.Request) -> tuple[Any, ...]:
    """Marks a sentence as not to be read, or as to be read again."""
    project, say = opened(folder), words_for(request)
    wanted = sentences.read(project)
    if 0 <= at < len(wanted):
        sentences.skip(project, wanted[at].text, "" if wanted[at].skipped else reason or say("record_no_reason"))
    return *_at_gap(project, speaker, at, say), ""


def add_typed(folder: str, speaker: str, typed: str, request: gr.Request) -> tuple[Any, ...]:
    """Adds the sentences of the field."""
    added = _add(folder, speaker, typed, request)
    drafts.put(opened(folder), SENTENCES, None)
    return "", *added


def add_file(folder: str, speaker: str, path: str, request: gr.Request) -> tuple[Any, ...]:
    """Adds the sentences of a file."""
    file = Path(path)
    return _add(folder, speaker, sentences.decode(file.read_bytes(), file.name), request)


def pick(value: Pick, folder: str, speaker: str, at: int, take: str, request: gr.Request) -> tuple[Any, ...]:
    """What the buttons in the sentence's frame do: delete a take that was kept, or bring it back."""
    kind, _, name = value.partition(":")
    project, clip = opened(folder), int(name)
    project.delete([clip]) if kind == "delete" else project.restore([clip])
    deleted, say = clip if kind == "delete" else 0, words_for(request)
    return (
        header(folder, request),
        *_sentence(project, speaker, at, say, deleted=deleted),
        *_waiting(project, take, say),
    )


def list_pick(picked: Pick, folder: str, speaker: str, take: str, request: gr.Request) -> tuple[Any, ...]:
    """What the buttons of the list do; a take that waits stays in view with its sentence."""
    project, say = opened(folder), words_for(request)
    at, removed = sentence_list.act(picked, project)
    if take and waiting.get(project, take):
        return show(folder, speaker, take, request)
    return *_sentence(project, speaker, at, say, removed=removed), *_no_take()


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
    return "".join(notices), *show(folder, speaker, "", request)


def _at_gap(project: Project, speaker: str, start: int, say: Say) -> tuple[Any, ...]:
    """The step at the first sentence from `start` on, and round, that this speaker lacks; else behind the last."""
    standing = sentences.standing(project, speaker.strip())
    gap = standing.first_gap(start) if standing.sentences else None
    at = len(standing.sentences) if gap is None else gap
    return *record_view.sentence(str(project.folder), standing, at, say), *_no_take()


def _sentence(project: Project, speaker: str, at: int, say: Say, **more: Any) -> tuple[Any, ...]:
    """The view of the sentence at `at`."""
    return record_view.sentence(str(project.folder), sentences.standing(project, speaker.strip()), at, say, **more)


def _waiting(project: Project, take: str, say: Say) -> tuple[Any, ...]:
    waits = waiting.get(project, take)
    return _take(project, waits, waits.sentence, say) if waits else _no_take()


def _take(project: Project, waits: Waiting, sentence: str, say: Say) -> tuple[Any, ...]:
    """(verdict, take, keep, discard, back, skip, gap, forward) while a take waits: moving on keeps it, and no other
    button leaves it behind. sentence: the one in view."""
    good = usable(waits.read()[0].quality)
    shown = record_view.waits(str(project.folder), waits, sentence, say)
    off = gr.Button(interactive=False)
    usable_only = gr.Button(interactive=good)
    return shown, waits.name, usable_only, gr.Button(visible=True), off, off, off, usable_only


def _no_take() -> tuple[Any, ...]:
    """What `_take` gives while there is none."""
    on = gr.Button(interactive=True)
    return "", "", gr.Button(interactive=False), gr.Button(visible=False), on, on, on, on


def _sources() -> list[tuple[Any, str]]:
    return [(label("source_browser"), "browser"), (label("source_soundcard"), "soundcard")]
