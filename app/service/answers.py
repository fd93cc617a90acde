"""A transcript as OpenAI's interface answers: json, text, srt, verbose_json or vtt."""

import math
import zlib
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from lect.exports.formats import WRITERS
from lect.exports.transcript import Segment, Transcript

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
GRANULARITIES = ("segment", "word")


def answer(transcript: Transcript, form: str, granularities: set[str], language: str) -> Response:
    """form: one of FORMATS; granularities and language matter to verbose_json alone."""
    if form == "text":
        return PlainTextResponse(f"{transcript.text}\n")
    if form in ("srt", "vtt"):
        media_type = "text/vtt" if form == "vtt" else "text/plain"
        return PlainTextResponse(WRITERS[form](transcript, Path("recording")), media_type=media_type)
    usage = {"type": "duration", "seconds": math.ceil(transcript.seconds)}
    if form == "json":
        return JSONResponse({"text": transcript.text, "usage": usage})
    return JSONResponse({**_verbose(transcript, granularities, language), "usage": usage})


def _verbose(transcript: Transcript, granularities: set[str], language: str) -> dict[str, Any]:
    value: dict[str, Any] = {
        "task": "transcribe",
        "language": language or "und",
        "duration": round(transcript.seconds, 3),
        "text": transcript.text,
    }
    if "word" in granularities:
        value["words"] = [
            {"word": each.text, "start": round(each.start, 3), "end": round(each.end, 3)} for each in transcript.words
        ]
    if "segment" in granularities:
        value["segments"] = [_segment(number, each) for number, each in enumerate(transcript.segments)]
    return value


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    """With the fields that Whisper's have, for strict clients: tokens are the model's own affair, and stay empty."""
    text = segment.text.encode()
    return {
        "id": number,
        "seek": round(segment.start * 100),
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": math.log(max(segment.confidence, 1e-9)),
        "compression_ratio": len(text) / len(zlib.compress(text)),
        "no_speech_prob": 0.0,  # what does not count as speech is in no segment
    }
