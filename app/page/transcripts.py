"""Transcripts as the page shows them, and as files with a person's corrections. It does not make them."""

import io
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lect.engine.contract.errors import UsageError
from lect.exports.formats import EXTENSIONS, WRITERS
from lect.exports.transcript import Segment, TimedWord, Transcript

from ..output import percent
from . import languages
from .diff import marked
from .markup import card, table, text
from .texts import Say

FORMATS = ("txt", "srt", "vtt", "json", "eaf", "TextGrid")
UNSURE = 0.6  # a word below is marked


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


def editable(results: Sequence[Transcribed]) -> str:
    """The texts, a segment a line; with the recording's name in front where there are several."""
    lines = [(one.file, part.text) for one in results if one.transcript for part in one.transcript.segments]
    return "\n".join(words if len(results) == 1 else f"{name}\t{words}" for name, words in lines)


def written(kind: str, results: Sequence[Transcribed], edited: str) -> tuple[str, bytes]:
    """The transcripts with the corrections of `edited`, as a file of one of FORMATS or a zip of some: (name, content).

    Raises UsageError when there is no transcript.
    """
    lines = _lines(results, edited)
    stems = Counter(Path(one.file).stem for one in results)
    files = {}
    for one in results:
        if one.transcript:
            media = Path(one.file)
            name = (media.stem if stems[media.stem] == 1 else media.name) + EXTENSIONS[kind]
            files[name] = WRITERS[kind](corrected(one.transcript, lines[one.file]), media).encode()
    if not files:
        raise UsageError("There is no transcript to save: choose recordings that can be read.")
    if len(results) == 1:
        return next(iter(files.items()))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return f"transcripts-{kind}.zip", packed.getvalue()


def corrected(transcript: Transcript, lines: Sequence[str]) -> Transcript:
    """The transcript with these texts for its segments; times are lost where lines were joined or split."""
    if len(lines) == len(transcript.segments):
        segments = tuple(
            segment if segment.text == line else replace(segment, text=line, words=(), confidence=1.0)
            for segment, line in zip(transcript.segments, lines, strict=True)
        )
    else:
        start = transcript.segments[0].start if transcript.segments else 0.0
        end = transcript.segments[-1].end if transcript.segments else transcript.seconds
        segments = (Segment(start, end, "\n".join(lines), (), 1.0),) if lines else ()
    words = tuple(word for segment in segments for word in segment.words)
    return replace(transcript, text=" ".join(each.text for each in segments), segments=segments, words=words)


def _lines(results: Sequence[Transcribed], edited: str) -> Mapping[str, list[str]]:
    """The lines of the text field, by recording."""
    lines = [line for line in edited.splitlines() if line.strip()]
    if len(results) == 1:
        return {results[0].file: lines}
    return {
        one.file: [line.removeprefix(f"{one.file}\t") for line in lines if line.startswith(f"{one.file}\t")]
        for one in results
    }


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
        return f'<span class="muted">{text(say("transcribe_silence"))}</span>'
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
