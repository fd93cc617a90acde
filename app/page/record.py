"""Recording, one sentence at a time: read, listen, see the verdict, keep. A take that is kept is on the disk at once.

The microphone itself is in the browser (assets/page/recorder.js) or in `soundcard`; both hand over a WAV file.
"""

from pathlib import Path
from typing import Any

import gradio as gr

from lect.app.output import duration
from lect.app.page import pictures, sentences, soundcard
from lect.app.page.events import bind, bind_pick, html_block, in_turn
from lect.app.page.markup import empty, meter, notice, play, speech, text
from lect.app.page.sentences import Standing
from lect.app.page.shared import Page, opened
from lect.app.page.texts import Say, label, words_for
from lect.engine.audio.quality import Quality, measure, usable
from lect.engine.audio.reading import load_audio
from lect.engine.contract.errors import UsageError
from lect.engine.data.clips import Clip
from lect.engine.data.review import ENOUGH_MINUTES

IN_TURN = in_turn("record")
# What can be said about a take: the verdict's key in the catalogue, and how the notice is coloured.
KIND = {"good": "good", "empty": "bad", "too short": "bad", "too long": "bad"}
KEYS = (("R", "record"), ("P", "play"), ("K", "keep"), ("S", "skip"), ("← →", "move"), ("G", "gap"))  # page.js has them


def build(page: Page) -> None:
    """The tab."""
    with gr.Tab(label("tab_record"), id="record") as tab:
        at, take = gr.State(0), gr.State("")
        with gr.Row(elem_classes="columns"):
            with gr.Column(scale=3, min_width=320):
                prompt = html_block(elem_id="prompt", picks=True)
                with gr.Column(visible=False, elem_id="recording") as studio:
                    with gr.Column(elem_id="browser-microphone") as browser:
                        html_block('<lect-recorder target="take"></lect-recorder>')
                        upload = gr.UploadButton("take", elem_id="take", elem_classes="away", file_types=["audio"])
                    device = soundcard.build()
                    verdict = html_block(elem_id="verdict")
                    with gr.Row(elem_classes="keys", elem_id="take-buttons"):
                        back = gr.Button("←", elem_id="back", min_width=50, scale=0)
                        keep = gr.Button(label("record_keep"), elem_id="keep", variant="primary", interactive=False)
                        skip = gr.Button(label("record_skip"), elem_id="skip")
                        gap = gr.Button(label("record_gap"), elem_id="gap")
                        forward = gr.Button("→", elem_id="forward", min_width=50, scale=0)
                    reason = gr.Textbox("", label=label("record_reason"), elem_id="reason", placeholder="…")
                    html_block(_keys_help())
            with gr.Column(scale=2, min_width=280):
                speaker = gr.Textbox(
                    "", label=label("record_speaker"), info=label("record_speaker_info"), elem_id="speaker"
                )
                source = gr.Radio(
                    _sources(), value="browser", label=label("source"), elem_id="source", visible=page.local
                )
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
                told = html_block(elem_id="sentences-told")

    view = [prompt, studio, progress, at]
    fresh = [*view, verdict, take, keep]
    where = [page.project, speaker, at]
    bind(tab.select, show_first_gap, [page.project, speaker], view, **IN_TURN)
    bind(speaker.change, show_first_gap, [page.project, speaker], view, **IN_TURN)
    bind(upload.upload, judge, [upload], [verdict, take, keep], **IN_TURN)
    bind(device.take.change, judge, [device.take], [verdict, take, keep], **IN_TURN)
    bind(
        source.input, use_source, [source], [browser, device.column, device.told, device.list, device.start], **IN_TURN
    )
    bind(keep.click, keep_take, [*where, take], [*fresh, page.header], **IN_TURN)
    bind(skip.click, skip_sentence, [*where, reason], [*fresh, reason], **IN_TURN)
    bind(add.click, add_typed, [page.project, speaker, typed], [typed, told, *view], **IN_TURN)
    bind(files.upload, add_file, [page.project, speaker, files], [told, *view], **IN_TURN)
    bind_pick(prompt, pick, where, [page.header, *fresh], **IN_TURN)
    _moves(back, forward, gap, where, fresh)


def _moves(back: gr.Button, forward: gr.Button, gap: gr.Button, where: list[Any], fresh: list[Any]) -> None:
    def go_back(folder: str, speaker: str, at: int, request: gr.Request) -> Any:
        return move(folder, speaker, at - 1, request)

    def go_on(folder: str, speaker: str, at: int, request: gr.Request) -> Any:
        return move(folder, speaker, at + 1, request)

    def to_gap(folder: str, speaker: str, at: int, request: gr.Request) -> Any:
        standing = sentences.standing(opened(folder), speaker)
        found = standing.first_gap(0) if standing.sentences else None
        return move(folder, speaker, len(standing.sentences) if found is None else found, request)

    for button, function in ((back, go_back), (forward, go_on), (gap, to_gap)):
        bind(button.click, function, where, fresh, **IN_TURN)


def show_first_gap(folder: str, speaker: str, request: gr.Request) -> tuple[Any, ...]:
    """At the first sentence that this speaker has not recorded."""
    say = words_for(request)
    if not folder:
        return empty(say("no_project"), say("tab_project"), "project"), gr.skip(), "", 0
    standing = sentences.standing(opened(folder), speaker.strip())
    gap = standing.first_gap(0) if standing.sentences else None
    return _view(folder, speaker, standing, len(standing.sentences) if gap is None else gap, say)


def move(folder: str, speaker: str, at: int, request: gr.Request) -> tuple[Any, ...]:
    """At another sentence, without a take."""
    standing = sentences.standing(opened(folder), speaker.strip())
    at = min(max(at, 0), len(standing.sentences))
    return *_view(folder, speaker, standing, at, words_for(request)), *_no_take()


def use_source(source: str) -> tuple[Any, ...]:
    """Shows the browser's recorder or that of the sound device; (browser, column, told, list, start)."""
    if source == "browser":
        return gr.Column(visible=True), gr.Column(visible=False), *[gr.skip()] * 3
    return gr.Column(visible=False), gr.Column(visible=True), *soundcard.find()


def judge(path: str | None, request: gr.Request) -> tuple[Any, ...]:
    """(verdict, take, keep button) of a new take, before anything is kept."""
    if not path:
        return "", "", gr.Button(interactive=False)
    samples = load_audio(Path(path))
    quality = measure(samples)
    say = words_for(request)
    shown = pictures.waveform(samples, say("picture_wave")) + pictures.spectrogram(samples, say("picture_spectrum"))
    return _verdict(quality, say) + f'<div class="pictures">{shown}</div>', path, gr.Button(interactive=usable(quality))


def keep_take(folder: str, speaker: str, at: int, take: str, request: gr.Request) -> tuple[Any, ...]:
    """Keeps the take as a clip, and goes on to the next gap."""
    from lect.app.page.header import show as header

    project, speaker, say = opened(folder), speaker.strip(), words_for(request)
    wanted = sentences.read(project)
    if not take or not 0 <= at < len(wanted):
        raise UsageError("There is no take to keep: record one first.")
    path = Path(take)
    kept = project.keep(path, load_audio(path), wanted[at].text, speaker)
    if kept.duplicate:
        gr.Warning(say("record_duplicate"))
    path.unlink(missing_ok=True)  # the project has it
    standing = sentences.standing(project, speaker)
    gap = standing.first_gap(at)
    view = _view(folder, speaker, standing, len(wanted) if gap is None else gap, say)
    return *view, *_no_take(), header(folder, request)


def skip_sentence(folder: str, speaker: str, at: int, reason: str, request: gr.Request) -> tuple[Any, ...]:
    """Marks a sentence as not to be read, or as to be read again."""
    project, say = opened(folder), words_for(request)
    wanted = sentences.read(project)
    if 0 <= at < len(wanted):
        sentences.skip(project, wanted[at].text, "" if wanted[at].skipped else reason or say("record_no_reason"))
    standing = sentences.standing(project, speaker.strip())
    gap = standing.first_gap(at) if wanted else None
    return *_view(folder, speaker, standing, len(wanted) if gap is None else gap, say), *_no_take(), ""


def add_typed(folder: str, speaker: str, typed: str, request: gr.Request) -> tuple[Any, ...]:
    """Adds the sentences of the field."""
    told, *view = _add(folder, speaker, typed, request)
    return "", told, *view


def add_file(folder: str, speaker: str, path: str, request: gr.Request) -> tuple[Any, ...]:
    """Adds the sentences of a file."""
    file = Path(path)
    return _add(folder, speaker, sentences.decode(file.read_bytes(), file.name), request)


def pick(value: str, folder: str, speaker: str, at: int, request: gr.Request) -> tuple[Any, ...]:
    """What the buttons in the sentence's frame do: delete a take that was kept, or bring it back."""
    from lect.app.page.header import show as header

    kind, _, name = value.partition(":")
    project, take = opened(folder), int(name)
    project.delete([take]) if kind == "delete" else project.restore([take])
    deleted = take if kind == "delete" else 0
    standing = sentences.standing(project, speaker.strip())
    view = _view(folder, speaker, standing, at, words_for(request), deleted)
    return header(folder, request), *view, *_no_take()


def _add(folder: str, speaker: str, text_of_file: str, request: gr.Request) -> tuple[Any, ...]:
    project, say = opened(folder), words_for(request)
    texts = sentences.parse(text_of_file)
    if not texts:
        raise UsageError("There is no sentence: write one a line.")
    total = say("count_sentences", count=len(texts))
    told = [notice(say("sentences_added", count=sentences.add(project, texts), total=total), "good")]
    if long := sentences.too_long(texts):
        told.append(notice(say("sentences_long", count=len(long), example=long[0][:60]), "warn"))
    if odd := sentences.unusual(texts):
        told.append(notice(say("sentences_unusual", characters=" ".join(odd[:20])), "warn"))
    return "".join(told), *show_first_gap(folder, speaker, request)


def _view(folder: str, speaker: str, standing: Standing, at: int, say: Say, deleted: int = 0) -> tuple[Any, ...]:
    """(prompt, studio, progress, at); deleted: a take that can be brought back."""
    wanted = standing.sentences
    progress = _progress(folder, standing, say)
    if not wanted:
        return empty(say("sentences_none")), gr.Column(visible=False), progress, 0
    if at >= len(wanted):
        done = f'<div class="empty done"><p>{text(say("record_done"))}</p>'
        links = (("train", "tab_train"), ("clips", "tab_clips"))
        done += "".join(f'<button class="act" data-step="{name}">{text(say(key))}</button>' for name, key in links)
        return done + "</div>", gr.Column(visible=False), progress, len(wanted)
    shown = _prompt(standing, at, say) + _takes(Path(folder), standing, at, say, deleted)
    return shown, gr.Column(visible=True), progress, at


def _takes(folder: Path, standing: Standing, at: int, say: Say, deleted: int) -> str:
    """What was kept of this sentence, to be heard and deleted."""
    rows = [
        f"<li>{play(folder, clip, say('play'))}<span>{text(_take_facts(clip, say))}</span>"
        f'<button class="link" data-pick="delete:{clip.id}">{text(say("record_delete"))}</button></li>'
        for clip in standing.takes.get(standing.sentences[at].text, [])
    ]
    if deleted:
        rows.append(
            f'<li><span role="status">{text(say("record_deleted"))}</span>'
            f'<button class="link" data-pick="restore:{deleted}">{text(say("record_undelete"))}</button></li>'
        )
    return f'<ul class="takes">{"".join(rows)}</ul>' if rows else ""


def _take_facts(clip: Clip, say: Say) -> str:
    seconds = say("seconds", seconds=f"{clip.seconds:.1f}")
    return f"{say('record_kept')} · {seconds} · {say('word_' + clip.quality.verdict.replace(' ', '_'))}"


def _prompt(standing: Standing, at: int, say: Say) -> str:
    sentence = standing.sentences[at]
    marks = []
    if sentence.skipped:
        marks.append(say("record_skipped", reason=sentence.skipped))
    where = say("record_where", number=at + 1, total=len(standing.sentences))
    size = " long" if len(sentence.text) > 90 else ""
    return (
        f'<div class="prompt"><p class="muted">{text(" · ".join([where, *marks]))}</p>'
        f'<p class="sentence{size}" dir="auto" lang="">{speech(sentence.text)}</p></div>'
    )


def _progress(folder: str, standing: Standing, say: Say) -> str:
    clips = opened(folder).clips(usable_only=True)
    total = len(standing.sentences)
    minutes = sum(clip.seconds for clip in clips) / 60
    done = say("record_progress", done=standing.recorded, total=say("count_sentences", count=total))
    bars = meter(standing.recorded / total, done) if total else ""
    collected = say("record_minutes", length=duration(60 * minutes), goal=ENOUGH_MINUTES)
    return bars + meter(minutes / ENOUGH_MINUTES, collected)


def _verdict(quality: Quality, say: Say) -> str:
    word = quality.verdict
    key = "verdict_" + word.replace(" ", "_")
    figures = say(
        "take_figures",
        seconds=f"{quality.seconds:.1f}",
        level=f"{quality.speech_dbfs:.0f}",
        noise=f"{quality.noise_dbfs:.0f}",
    )
    said = notice(say(key), KIND.get(word, "warn"))
    return f'{said}<p class="muted figures">{text(figures)}</p>'


def _sources() -> list[tuple[Any, str]]:
    return [(label("source_browser"), "browser"), (label("source_soundcard"), "soundcard")]


def _no_take() -> tuple[Any, ...]:
    return "", "", gr.Button(interactive=False)


def _keys_help() -> str:
    keys = " ".join(f'<span><kbd>{key}</kbd> <lect-words key="key_{name}"></lect-words></span>' for key, name in KEYS)
    return f'<p class="help">{keys}</p>'
