"""Plain text, tables and JSON."""

import csv as csv_module
import io
import json as json_module
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lect.engine.scoring.trn import TRN_SPECIAL, trn_escaped
from lect.engine.text.slots import plain, slots_of

from ..transcript import Language, Segment, Transcript
from .media_names import name_of, readable


def txt(transcript: Transcript, media: Path) -> str:
    """The text alone, a line a segment."""
    return "".join(f"{each.text}\n" for each in transcript.segments)


def tsv(transcript: Transcript, media: Path) -> str:
    """Whisper's: start and end in whole milliseconds."""
    rows = (f"{_ms(each.start)}\t{_ms(each.end)}\t{_one_line(each.text)}\n" for each in transcript.segments)
    return "start\tend\ttext\n" + "".join(rows)


def csv(transcript: Transcript, media: Path) -> str:
    """For spreadsheets: times in seconds, and confidences."""
    name = name_of(media)
    rows = ([name, f"{s.start:.3f}", f"{s.end:.3f}", s.text, f"{s.confidence:.4f}"] for s in transcript.segments)
    return _table(["file", "start", "end", "text", "confidence"], rows)


def json(transcript: Transcript, media: Path) -> str:
    """Whisper's shape, with confidences, and what was skipped."""
    return json_module.dumps({"file": name_of(media), **document(transcript)}, ensure_ascii=False, indent=2) + "\n"


def audacity(transcript: Transcript, media: Path) -> str:
    """Audacity's label track, which File > Import > Labels reads."""
    return "".join(f"{each.start:.6f}\t{each.end:.6f}\t{_one_line(each.text)}\n" for each in transcript.segments)


def ctm(transcript: Transcript, media: Path) -> str:
    """NIST's: file, channel, start, duration, word, confidence."""
    name = "_".join(readable(media.stem).split()) or "recording"
    rows = (
        f"{name} 1 {word.start:.3f} {word.end - word.start:.3f} {word.text} {word.confidence:.4f}\n"
        for word in transcript.words
    )
    return "".join(rows)


def trn(transcript: Transcript, media: Path) -> str:
    """A line for NIST's sclite, the recording its utterance, of a speaker that is not known."""
    name = trn_escaped(name_of(media), TRN_SPECIAL + " ")
    return f"{trn_escaped(_one_line(transcript.text))} (unknown-{name})\n"


def document(transcript: Transcript) -> dict[str, Any]:
    """A transcript as a JSON object."""
    return {
        **_text_and_slots(transcript.text),
        **_language(transcript.language),
        "segments": [_segment(number, each) for number, each in enumerate(transcript.segments)],
        "skipped": [
            {"start": round(each.start, 3), "end": round(each.end, 3), "reason": each.reason}
            for each in transcript.skipped
        ],
        "confidence": round(transcript.confidence, 4),
        "seconds": round(transcript.seconds, 3),
        "real_time_factor": transcript.real_time_factor,
        "device": transcript.device,
        "vad": transcript.vad,
        "word_times": transcript.word_times,
    }


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    words = [
        {
            "word": each.text,
            "start": round(each.start, 3),
            "end": round(each.end, 3),
            "probability": round(each.confidence, 4),
        }
        for each in segment.words
    ]
    rounded = {"start": round(segment.start, 3), "end": round(segment.end, 3)}
    text = _text_and_slots(segment.text)
    confidence = round(segment.confidence, 4)
    pack = {"pack": segment.pack} if segment.pack else {}
    doubt = {"doubt": segment.doubt} if segment.doubt else {}
    return {"id": number, **rounded, **text, "confidence": confidence, **doubt, **pack, "words": words}


def _language(language: Language | None) -> dict[str, Any]:
    """Where anything states it, and how probable it is where it was detected."""
    if language is None:
        return {}
    detected = {} if language.probability is None else {"language_probability": round(language.probability, 4)}
    return {"language": language.code, **detected}


def _text_and_slots(text: str) -> dict[str, Any]:
    """The text, and the slots that it fills, where there are any."""
    slots = [slot._asdict() for slot in slots_of(text)]
    return {"text": plain(text), "slots": slots} if slots else {"text": text}


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    table = io.StringIO()
    writer = csv_module.writer(table, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows(rows)
    return table.getvalue()


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _one_line(text: str) -> str:
    return " ".join(text.split())
