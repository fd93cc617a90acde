"""Transcripts as the page shows them before they are corrected, and the list of them. It does not make them."""

import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lect.exports.formats import EXTENSIONS, WRITERS
from lect.exports.transcript import TimedWord, Transcript

from ..output import duration, percent
from . import languages
from .diff import marked
from .editor.place import Entry
from .markup import card, table, text
from .texts import Say

UNSURE = 0.6  # a word below is marked
CURRENT = ' aria-current="true"'


@dataclass(frozen=True)
class Transcribed:
    """One recording's transcript, or why there is none."""

    file: str  # its name, without a folder
    transcript: Transcript | None = None
    error: str = ""


def shown(names: Sequence[str], results: Sequence[Sequence[Transcribed]], total: int, say: Say) -> str:
    """The transcripts of the packs `names`, recording by recording; a second pack's text is marked where it differs."""
    rows = [(text(each[0].file), _texts(names, each, say), _figures(each[0])) for each in results]
    caption = say("transcribe_progress", done=len(results), total=say("count_recordings", count=total))
    return card(say("transcribe_result"), table([say("column_file"), say("column_recognised"), ""], rows, caption))


def listed(entries: Sequence[Entry], opened: str, say: Say) -> str:
    """The drafts that are kept, each to be opened or thrown away; opened: the one that the editor shows."""
    rows = [
        (
            f'<button class="link" data-pick="{each.number}"{CURRENT if each.number == opened else ""}>'
            f"{text(each.file)}</button>",
            duration(each.seconds),
            text(say("draft_count", done=each.checked, total=each.parts)),
            f'<button class="link" data-pick="-{each.number}">{text(say("draft_discard"))}</button>',
        )
        for each in entries
    ]
    headings = [say("column_file"), say("fact_length"), "", ""]
    return card(say("draft_drafts"), table(headings, rows)) if rows else ""


def links(key: str, numbers: Sequence[str], say: Say) -> str:
    """Where files of several transcripts are, in a zip of each format."""
    asked = "-".join(numbers)
    buttons = "".join(
        f'<a class="act" href="/project/{key}/transcripts/{asked}/{kind}" download>{kind}</a>' for kind in WRITERS
    )
    return f'<div class="links"><span class="muted">{text(say("draft_save_all"))}</span>{buttons}</div>'


def zipped(kind: str, written: Iterable[tuple[str, str]]) -> bytes:
    """A zip of (the recording's name, what is written of it), each under a name of its own."""
    files, packed = list(written), io.BytesIO()
    stems, used = Counter(Path(name).stem for name, _ in files), Counter[str]()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            own = Path(name).stem if stems[Path(name).stem] == 1 else name
            used[own] += 1
            archive.writestr(own + (f" {used[own]}" if used[own] > 1 else "") + EXTENSIONS[kind], content)
    return packed.getvalue()


def _texts(names: Sequence[str], results: Sequence[Transcribed], say: Say) -> str:
    first = results[0]
    if len(results) == 1:
        return _words(first, say) + _detected(first, say)
    second = results[1]
    if first.transcript and second.transcript:
        beside = marked(first.transcript.text, second.transcript.text)
    else:
        beside = _words(second, say)
    texts = (_words(first, say) + _detected(first, say), beside + _detected(second, say))
    pairs = zip(names, texts, strict=True)
    return (
        f'<div class="texts">{"".join(f"<div><span>{text(name)}</span>{words}</div>" for name, words in pairs)}</div>'
    )


def _words(one: Transcribed, say: Say) -> str:
    if one.transcript is None:
        return f'<span class="bad">{text(one.error)}</span>'
    if not one.transcript.text:
        parts = len(one.transcript.segments)
        said = say("draft_count", done=0, total=parts) if parts else say("transcribe_silence")
        return f'<span class="muted">{text(said)}</span>'
    return f'<bdi class="speech">{" ".join(map(_word, one.transcript.words))}</bdi>'


def _detected(one: Transcribed, say: Say) -> str:
    """The language that was found out, and how probable it is; nothing where it was given."""
    language = one.transcript.language if one.transcript else None
    if language is None or language.probability is None:
        return ""
    sentence = say(
        "transcribe_detected", language=languages.shown(language.code), probability=percent(language.probability)
    )
    return f'<small class="detected">{text(sentence)}</small>'


def _word(word: TimedWord) -> str:
    kind = ' class="unsure"' if word.confidence < UNSURE else ""
    return f'<span{kind} title="{word.confidence:.0%}">{text(word.text)}</span>'


def _figures(one: Transcribed) -> str:
    if one.transcript is None:
        return ""
    sure = [f"{one.transcript.confidence:.0%}"] if one.transcript.text else []
    figures = " · ".join([*sure, f"{one.transcript.seconds:.1f} s", f"×{one.transcript.real_time_factor:.2f}"])
    return f'<span class="muted figures" dir="ltr">{figures}</span>'
