"""What the recording step shows: the sentence, its takes, the verdict on a new one, and how far the list is."""

from pathlib import Path
from typing import Any

import gradio as gr

from lect.engine.audio.quality import Quality
from lect.engine.audio.reading import Samples
from lect.engine.data.clips import Clip
from lect.engine.data.review import ENOUGH_MINUTES

from . import pictures, recent, sentence_list
from .markup import empty, meter, notice, play, speech, text
from .sentences import Standing
from .shared import opened
from .texts import Say, duration
from .waiting import Waiting

KIND = {"good": "good", "empty": "bad", "too short": "bad", "too long": "bad"}  # verdict -> the notice's colour; "warn"
LONG_CHARACTERS = 90  # beyond, a sentence is set smaller
# page.js has them
KEYS = (("R", "record"), ("→", "next"), ("P", "play"), ("D", "discard"), ("S", "skip"), ("← →", "move"), ("G", "gap"))


def sentence(
    folder: str, standing: Standing, at: int, say: Say, deleted: int = 0, removed: tuple[int, str] | None = None
) -> tuple[Any, ...]:
    """(prompt, studio, progress, list, at); at: the sentence's place, or behind the last; deleted: a take, and removed:
    a sentence, that can be brought back."""
    wanted = standing.sentences
    progress, listed = _progress(folder, standing, say), sentence_list.shown(standing, at, say, removed)
    if not wanted:
        return empty(say("sentences_none")), gr.Column(visible=False), progress, listed, 0
    if at >= len(wanted):
        return _done(say), gr.Column(visible=False), progress, listed, len(wanted)
    prompt = _prompt(standing, at, say) + _takes(Path(folder), standing, at, say, deleted)
    return prompt, gr.Column(visible=True), progress, listed, at


def waits(folder: str, take: Waiting, sentence: str, say: Say) -> str:
    """A take that waits: what it is worth, and its sound; sentence: the one in view."""
    measured, samples = take.read()
    address = f"/project/{recent.key(Path(folder))}/waiting/{take.name}"
    replay = f'<button class="act" data-play="{address}"><span>▶</span> {text(say("record_replay"))}</button>'
    other = "" if take.sentence == sentence else notice(say("record_other_sentence", sentence=take.sentence), "warn")
    return f"{other}{_verdict(measured.quality, samples, say)}<p>{replay}</p>"


def _verdict(quality: Quality, samples: Samples, say: Say) -> str:
    word = quality.verdict
    figures = say(
        "take_figures",
        seconds=f"{quality.seconds:.1f}",
        level=f"{quality.speech_dbfs:.0f}",
        noise=f"{quality.noise_dbfs:.0f}",
    )
    advice = notice(say("verdict_" + word.replace(" ", "_")), KIND.get(word, "warn"))
    drawn = pictures.waveform(samples, say("picture_wave")) + pictures.spectrogram(samples, say("picture_spectrum"))
    return f'{advice}<p class="muted figures">{text(figures)}</p><div class="pictures">{drawn}</div>'


def keys_help() -> str:
    """Which key does what."""
    keys = " ".join(f'<span><kbd>{key}</kbd> <lect-words key="key_{name}"></lect-words></span>' for key, name in KEYS)
    return f'<p class="help">{keys}</p>'


def _done(say: Say) -> str:
    links = (("train", "tab_train"), ("clips", "tab_clips"))
    buttons = "".join(f'<button class="act" data-step="{name}">{text(say(key))}</button>' for name, key in links)
    return f'<div class="empty done"><p>{text(say("record_done"))}</p>{buttons}</div>'


def _takes(folder: Path, standing: Standing, at: int, say: Say, deleted: int) -> str:
    """What was kept of this sentence, to be played and deleted."""
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
    wanted = standing.sentences[at]
    where = [say("record_where", number=at + 1, total=len(standing.sentences))]
    if wanted.skipped:
        where.append(say("record_skipped", reason=wanted.skipped))
    size = " long" if len(wanted.text) > LONG_CHARACTERS else ""
    return (
        f'<div class="prompt"><p class="muted">{text(" · ".join(where))}</p>'
        f'<p class="sentence{size}" dir="auto" lang="">{speech(wanted.text)}</p></div>'
    )


def _progress(folder: str, standing: Standing, say: Say) -> str:
    clips = opened(folder).clips(usable_only=True)
    total = len(standing.sentences)
    minutes = sum(clip.seconds for clip in clips) / 60
    done = say("record_progress", done=standing.recorded, total=say("count_sentences", count=total))
    bars = meter(standing.recorded / total, done) if total else ""
    collected = say("record_minutes", length=duration(60 * minutes, say), goal=ENOUGH_MINUTES)
    return bars + meter(minutes / ENOUGH_MINUTES, collected)
