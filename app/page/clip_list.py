"""The list of clips as HTML: which are asked for, in what order, and the boxes to tick. It changes no clip."""

from typing import Any

from lect.engine.contract.errors import UsageError
from lect.engine.data.clips import Clip
from lect.engine.data.store import Project
from lect.engine.text.rules import nfc

from . import drafts
from .markup import play, speech, text
from .texts import Say, label

PAGE = 30  # rows at once
ALL = "all"  # what is ticked (assets/page/ticks.js), when it is all that is found
SPLITS = ("train", "dev", "test", "")
ORDERS = ("newest", "oldest", "label", "speaker", "longest", "worst")


def found(clips: list[Clip], search: str, which: str, order: str) -> list[Clip]:
    """The clips that are asked for, in one of ORDERS."""
    keys = {
        "newest": lambda clip: -clip.id,
        "label": lambda clip: clip.text.casefold(),
        "speaker": lambda clip: (clip.speaker.casefold(), clip.id),
        "longest": lambda clip: -clip.seconds,
        "worst": lambda clip: (clip.quality.verdict == "good", clip.quality.snr_db),
    }
    return sorted((clip for clip in clips if _matches(clip, search, which)), key=keys.get(order, lambda clip: clip.id))


def marked(clips: list[Clip], ticked: str) -> list[int]:
    """The numbers of ticked clips: ALL of these, or numbers apart by commas. Raises UsageError when there are none."""
    numbers = [clip.id for clip in clips] if ticked == ALL else [int(number) for number in ticked.split(",") if number]
    if not numbers:
        raise UsageError("No clip is ticked: tick some in the list first.")
    return numbers


def listed(project: Project, clips: list[Clip], total: int, start: int, query: str, say: Say) -> str:
    """The rows from `start`; clips: all that were found by `query`."""
    typed = drafts.named(project, "clip:")
    rows = "".join(_row(project, clip, str(clip.id) in typed, say) for clip in clips[start : start + PAGE])
    count = say("clips_count", found=len(clips), total=say("count_clips", count=total))
    every = say("clips_tick_all", clips=say("count_clips", count=len(clips)))
    head = f'<label><input type="checkbox" value="{ALL}:{text(query)}"> {text(every)}</label>' if clips else ""
    return f'<p class="muted list-head">{head}<span>{text(count)}</span></p><ul class="rows">{rows}</ul>'


def kinds() -> list[tuple[Any, str]]:
    """What the list can be narrowed to."""
    splits = [(label(f"split_{name}" if name else "split_none"), f"split:{name}") for name in SPLITS]
    return [
        (label("clips_all"), "all"),
        *splits,
        (label("clips_warned"), "verdict"),
        (label("clips_left_out"), "excluded"),
    ]


def orders() -> list[tuple[Any, str]]:
    """How it can be ordered."""
    return [(label(f"order_{name}"), name) for name in ORDERS]


def sides() -> list[tuple[Any, str]]:
    """The splits by name."""
    return [(label(f"split_{name}" if name else "split_none"), name) for name in SPLITS]


def _matches(clip: Clip, search: str, which: str) -> bool:
    """Whether every word of `search` is in a clip's label, speaker or verdict, and it is of the kind `which`."""
    verdict = "" if clip.quality.verdict == "good" else clip.quality.verdict
    text_of_clip = nfc(f"{clip.text} {clip.speaker} {verdict}").casefold()
    kind, _, value = which.partition(":")
    wanted = {"split": clip.split == value, "verdict": bool(verdict), "excluded": clip.excluded}.get(kind, True)
    return wanted and all(word in text_of_clip for word in nfc(search).casefold().split())


def _row(project: Project, clip: Clip, typed: bool, say: Say) -> str:
    tick = f'<input type="checkbox" value="{clip.id}" aria-label="{text(say("clips_tick"))}: {text(clip.text)}">'
    return (
        f'<li class="{"out" if clip.excluded else ""}">{tick}{play(project.folder, clip, say("play"))}'
        f'<button class="clip" data-pick="{clip.id}">{speech(clip.text)}'
        f'<span class="muted">{text(_facts(clip, say))}{_unsaved(say) if typed else ""}</span></button></li>'
    )


def _unsaved(say: Say) -> str:
    return f' · <b class="warn">{text(say("draft_unsaved"))}</b>'


def _facts(clip: Clip, say: Say) -> str:
    side = say(f"split_{clip.split}") if clip.split else say("split_none")
    facts = [say("clips_left_out")] if clip.excluded else []
    facts += [clip.speaker or say("speaker_unknown"), side, say("seconds", seconds=f"{clip.seconds:.1f}")]
    verdict = clip.quality.verdict
    return " · ".join(facts + ([say("word_" + verdict.replace(" ", "_"))] if verdict != "good" else []))


def pages(count: int, start: int, say: Say) -> str:
    """The way to the pages before and after; nothing while all fits on one."""
    buttons = [
        f'<button class="act" data-pick="{at}">{text(say(key))}</button>'
        for key, at, there in (
            ("previous", start - PAGE, start > 0),
            ("next", start + PAGE, start + PAGE < count),
        )
        if there
    ]
    where = f"{start + 1}–{min(start + PAGE, count)} / {count}"
    return f'<div class="pages">{"".join(buttons)}<span class="muted">{where}</span></div>' if buttons else ""
