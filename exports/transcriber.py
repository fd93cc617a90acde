"""Recordings of any length to transcripts: speech is found, cut at pauses, and written piece by piece.

Memory holds the pieces of one batch, not the recording. It does not know what writes a piece: one pack, or the best of
several.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lect.engine.audio.reading import SAMPLE_RATE, Samples, stream

from .onnx_network import BATCH_SECONDS
from .segments import CutOptions, Gap, Piece, cut
from .transcript import Segment, Skipped, Transcript, WordTimes
from .vad import Detector, Method, detector

Source = Path | str | Samples  # a file, or (samples,) float32 at 16 kHz


@dataclass(frozen=True)
class SpeechOptions:
    """How speech is looked for in a recording."""

    vad: Method = "silero"  # what tells speech from other sound: silero, energy or off
    cut: CutOptions = field(default_factory=CutOptions)


class Transcriber(ABC):
    """What every transcriber does with a recording, over the pieces that a kind of it writes."""

    def __init__(self) -> None:
        self._detectors: dict[Method, Detector] = {}

    @property
    @abstractmethod
    def device(self) -> str:
        """Where it really runs: cpu or cuda."""

    def for_recording(self) -> "Transcriber":
        """What writes one recording, and may remember its language; itself where there is nothing to remember."""
        return self

    def is_enough(self, waiting: Sequence[Piece | Gap]) -> bool:
        """Whether what a recording was cut into so far is worth writing at once."""
        return _padded_seconds(waiting) >= BATCH_SECONDS

    @abstractmethod
    def written(self, found: Sequence[Piece | Gap]) -> Iterator[Segment | Skipped]:
        """The text of what a recording was cut into, in order."""

    @abstractmethod
    def word_times(self, segments: Sequence[Segment]) -> WordTimes:
        """How the words of these segments got their times."""

    def segments(self, source: Source, speech: SpeechOptions | None = None) -> Iterator[Segment]:
        """What is spoken in a recording of any length, in order, as it is found. Raises AudioError or UsageError."""
        return (found for found in self.listen(source, speech) if isinstance(found, Segment))

    def transcribe(self, source: Source, speech: SpeechOptions | None = None) -> Transcript:
        """All of a recording of any length. Raises AudioError when it cannot be read, UsageError for its options."""
        started = time.perf_counter()
        return self.gathered(list(self.listen(source, speech)), started, speech)

    def listen(self, source: Source, speech: SpeechOptions | None = None) -> Iterator[Segment | Skipped]:
        """As `segments`, with the stretches between in which nothing was written down."""
        speech, writer = speech or SpeechOptions(), self.for_recording()
        waiting: list[Piece | Gap] = []
        blocks = stream(source if isinstance(source, np.ndarray) else Path(source))
        for found in cut(self.detector(speech.vad).windows(blocks), speech.cut):
            waiting.append(found)
            if writer.is_enough(waiting):
                yield from writer.written(waiting)
                waiting = []
        yield from writer.written(waiting)

    def gathered(
        self, found: Sequence[Segment | Skipped], started: float, speech: SpeechOptions | None = None
    ) -> Transcript:
        """The transcript of all that `listen` gave; started: `time.perf_counter()` before it."""
        segments = tuple(each for each in found if isinstance(each, Segment))
        seconds = max((each.end for each in found), default=0.0)
        return Transcript(
            text=" ".join(each.text for each in segments),
            segments=segments,
            skipped=tuple(each for each in found if isinstance(each, Skipped)),
            words=tuple(word for each in segments for word in each.words),
            confidence=_confidence(segments),
            seconds=seconds,
            real_time_factor=(time.perf_counter() - started) / max(seconds, 1 / SAMPLE_RATE),
            device=self.device,
            vad=self.detector((speech or SpeechOptions()).vad).name,
            word_times=self.word_times(segments),
            language=next((each.language for each in segments), None),
        )

    def detector(self, method: Method) -> Detector:
        """What tells speech, loaded once. Raises UsageError for a name that is not known."""
        # Loading Silero's network takes longer than looking through a minute of sound.
        if method not in self._detectors:
            self._detectors[method] = detector(method)
        return self._detectors[method]


def _confidence(segments: Sequence[Segment]) -> float:
    """The geometric mean over segments, by their words."""
    logs = [(math.log(max(each.confidence, 1e-9)), len(each.words)) for each in segments]
    weight = sum(count for _, count in logs)
    return math.exp(sum(log * count for log, count in logs) / weight) if weight else 0.0


def _padded_seconds(found: Sequence[Piece | Gap]) -> float:
    lengths = [len(each.samples) / SAMPLE_RATE for each in found if isinstance(each, Piece)]
    return len(lengths) * max(lengths, default=0.0)
