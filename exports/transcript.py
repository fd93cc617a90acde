"""What was recognised in a recording, and when. All times are seconds from the recording's beginning.

Plain data: it does not know how it was found nor how it is written to a file.
"""

from dataclasses import dataclass
from typing import Literal

# Aligned with the CTC head's output; by what the decoder's alignment heads attended to; or, without either, spread over
# the segment. Surest first.
WordTimes = Literal["ctc", "attention", "estimated"]
Doubt = Literal["", "repeats", "unsure"]  # none; the text repeats itself; its tokens are improbable


@dataclass(frozen=True)
class Language:
    """Which language is spoken."""

    code: str
    probability: float | None  # among those that the model knows, in [0, 1]; None: it was given, not detected


@dataclass(frozen=True)
class TimedWord:
    """One word."""

    text: str
    start: float
    end: float
    confidence: float  # in [0, 1]: the product of its tokens' confidences


@dataclass(frozen=True)
class Segment:
    """One stretch of speech; segments are in order and do not overlap."""

    start: float
    end: float
    text: str
    words: tuple[TimedWord, ...]
    confidence: float  # in [0, 1]: geometric mean over the tokens
    pack: str = ""  # which of several wrote it
    language: Language | None = None  # None: nothing states it
    doubt: Doubt = ""  # by the guards of a Whisper in its own vocabulary


@dataclass(frozen=True)
class Skipped:
    """A stretch in which nothing was written down."""

    start: float
    end: float
    reason: Literal["no speech", "no words"]  # by the voice activity; or by the recogniser, which found nothing in it


@dataclass(frozen=True)
class Transcript:
    """What was recognised in one recording: segments and skipped stretches together cover all of it."""

    text: str
    segments: tuple[Segment, ...]
    skipped: tuple[Skipped, ...]
    words: tuple[TimedWord, ...]  # those of all segments
    confidence: float  # in [0, 1]: geometric mean over the segments, by their words; 0 without any
    seconds: float  # of audio
    real_time_factor: float  # seconds of work a second of audio, reading included; in a batch, the batch's
    device: str  # cpu or cuda, as read back from ONNX Runtime
    vad: str  # what looked for speech: silero, energy or off
    word_times: WordTimes  # how words got their times; the least sure way of all its segments
    language: Language | None = None  # of the first segment
