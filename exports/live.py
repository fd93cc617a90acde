"""Speech as it is spoken: text that grows and settles while a phrase goes on, and its final form when it ends.

Keeps no more than the phrase that is being spoken. It does not know where the sound comes from.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile

from lect.engine.audio.reading import SAMPLE_RATE, Samples
from lect.engine.contract.errors import UsageError

from .runtime import Runtime
from .segments import CutOptions, Cutter, Gap, Piece
from .transcriber import SpeechOptions
from .transcript import Segment, Skipped

# A shorter pad than for recordings: a pause is known as soon as it is longer than two of them.
LIVE_CUT = CutOptions(vad_min_silence_duration_ms=500, vad_speech_pad_ms=200, vad_max_speech_duration_s=15.0)
BLOCK_SAMPLES = SAMPLE_RATE // 10
STEP_S = 0.5  # how much speech there must be since the last partial text


@dataclass(frozen=True)
class Partial:
    """The text so far of a phrase that goes on. All text of it is replaced by the `Segment` that ends it."""

    start: float  # seconds from the first sample
    end: float
    settled: str  # the words that two results in a row agreed on, and all before them; it only grows
    open: str  # what the latest result has after them


Event = Partial | Segment | Skipped


def live(runtime: Runtime, blocks: Iterable[Samples], speech: SpeechOptions | None = None) -> Iterator[Event]:
    """Events while `blocks` come, each (samples,) float32 at 16 kHz of any length.

    A phrase gives partial texts, greedily decoded, and ends with its Segment by the runtime's own search, or with
    Skipped where there were no words after all. Raises UsageError for a way of finding speech that looks far ahead.
    """
    speech = speech or SpeechOptions(cut=LIVE_CUT)
    if speech.vad == "energy":
        raise UsageError("The energy gate looks 30 s ahead and cannot follow speech: use silero or off.")
    cutter, phrase = Cutter(speech.cut), _Phrase(runtime)
    for samples, likely in runtime.detector(speech.vad).windows(short(blocks)):
        for found in filter(_is_piece, cutter.add(samples, likely)):
            yield from runtime.written([found])
            phrase = _Phrase(runtime)
        if cutter.speech is not None and (partial := phrase.partial(cutter.speech)):
            yield partial
    yield from runtime.written(list(filter(_is_piece, cutter.rest())))


class _Phrase:
    """One phrase: what two results in a row agree on has settled (LocalAgreement-2, Liu et al. 2020)."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._latest, self._settled = list[str](), list[str]()
        self._until, self._wait = 0, STEP_S

    def partial(self, piece: Piece) -> Partial | None:
        """The text so far, once there is enough speech since the last."""
        if piece.end - max(self._until, piece.start) < self._wait * SAMPLE_RATE:
            return None
        started = time.perf_counter()
        (recognised,) = self._runtime.recognise([piece.samples], beam_size=1)
        # Recognising takes longer as a phrase grows: at most half of the time goes into texts that will not last.
        self._until, self._wait = piece.end, max(STEP_S, 2 * (time.perf_counter() - started))
        latest = [] if recognised.is_blank else recognised.text.split()
        pairs = zip(self._latest, latest, strict=False)
        agreed = [word for word, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
        if len(agreed) > len(self._settled) and agreed[: len(self._settled)] == self._settled:
            self._settled = agreed
        self._latest = latest
        text = " ".join(self._settled), " ".join(latest[len(self._settled) :])
        return Partial(piece.start / SAMPLE_RATE, piece.end / SAMPLE_RATE, *text) if any(text) else None


def _is_piece(found: Piece | Gap) -> bool:
    return isinstance(found, Piece)


def short(blocks: Iterable[Samples]) -> Iterator[Samples]:
    """The same samples in portions that are short enough to be recognised while they are spoken."""
    for block in blocks:
        for start in range(0, len(block), BLOCK_SAMPLES):
            yield block[start : start + BLOCK_SAMPLES]
