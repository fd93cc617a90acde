"""A recording that nobody has written down yet, cut at its pauses: a transcript without a word."""

import time
from pathlib import Path

from lect.engine.audio.reading import SAMPLE_RATE, stream
from lect.exports.segments import AT_BREATHS, Piece, cut
from lect.exports.transcript import Segment, Skipped, Transcript
from lect.exports.vad import detector


def cut_only(path: Path) -> Transcript:
    """Segments without text. Raises AudioError."""
    started, voice = time.perf_counter(), detector()
    found = list(cut(voice.windows(stream(path)), AT_BREATHS))
    edges = [(each, each.start / SAMPLE_RATE, each.end / SAMPLE_RATE) for each in found]
    seconds = edges[-1][2]
    return Transcript(
        text="",
        segments=tuple(Segment(start, end, "", (), 0.0) for each, start, end in edges if isinstance(each, Piece)),
        skipped=tuple(Skipped(a, b, "no speech") for each, a, b in edges if not isinstance(each, Piece)),
        words=(),
        confidence=0.0,
        seconds=seconds,
        real_time_factor=(time.perf_counter() - started) / seconds,
        device="cpu",
        vad=voice.name,
        word_times="estimated",
    )
