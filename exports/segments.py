"""Where a recording is cut: stretches of speech, at pauses, none longer than a model can hear; and what lies between.

Works on a stream and keeps no more of it than one stretch. It does not know how speech is detected.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from lect.engine.audio.reading import SAMPLE_RATE, Samples
from lect.engine.contract.errors import UsageError

FRAME_SAMPLES = 512  # 32 ms, the unit of voice activity: what Silero's network takes at once
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE
MAX_SECONDS = 30.0  # the longest stretch that a backbone takes at once
# A frame that is less likely than the threshold by this much ends speech; between the two it goes on as before.
HYSTERESIS = 0.15
HOLE_FRAMES = 4  # 128 ms: shorter silences are the stops inside of words
CLICK_FRAMES = 3  # 96 ms: shorter sounds are no speech
SMOOTHED_FRAMES = 5  # 160 ms: how wide the dip is where speech without a pause is cut

Speech = npt.NDArray[np.bool_]
Likely = npt.NDArray[np.float32]  # (frames,) how likely each is speech, 0 to 1


@dataclass(frozen=True)
class CutOptions:
    """Where to cut; names and meaning as in faster-whisper. Errors: UsageError when a value makes no sense."""

    vad_threshold: float = 0.5  # how likely a frame of speech must be
    vad_min_silence_duration_ms: int = 500  # a shorter pause does not end a segment
    vad_speech_pad_ms: int = 400  # kept around speech; where a pause is shorter than two of them, it is halved
    vad_max_speech_duration_s: float = 20.0  # longer speech is cut where it is quietest

    def __post_init__(self) -> None:
        if not 0 < self.vad_threshold < 1:
            raise UsageError(f"The speech threshold must lie between 0 and 1; {self.vad_threshold} does not.")
        if self.vad_min_silence_duration_ms < 100 or self.vad_speech_pad_ms < 0:
            raise UsageError("The least silence must be 100 ms or more, and the padding not negative.")
        if not 1 <= self.vad_max_speech_duration_s <= MAX_SECONDS:
            raise UsageError(f"The longest segment must have 1 to {MAX_SECONDS:.0f} s.")


# A breath ends a segment: short ones are typed at one hearing, and make clips that any training takes.
AT_BREATHS = CutOptions(vad_min_silence_duration_ms=300, vad_speech_pad_ms=150, vad_max_speech_duration_s=10.0)


@dataclass(frozen=True)
class Piece:
    """A stretch of speech."""

    start: int  # its first sample, counted from the recording's beginning
    samples: Samples  # (samples,)

    @property
    def end(self) -> int:
        """One past its last sample."""
        return self.start + len(self.samples)


@dataclass(frozen=True)
class Gap:
    """What lies between stretches of speech, in samples from the recording's beginning."""

    start: int
    end: int


def cut(windows: Iterable[tuple[Samples, Likely]], options: CutOptions) -> Iterator[Piece | Gap]:
    """Pieces and gaps in order, together the whole recording.

    windows: (samples,) and (frames,) for each FRAME_SAMPLES of them; only the last may end inside a frame.
    """
    cutter = Cutter(options)
    open_gap: Gap | None = None
    for found in cutter.cut(windows):
        if isinstance(found, Piece):
            if open_gap is not None:
                yield open_gap
            open_gap = None
            yield found
        else:
            open_gap = Gap(found.start if open_gap is None else open_gap.start, found.end)
    if open_gap is not None:
        yield open_gap


class Cutter:
    """The part of the stream that is not decided yet: frame 0 is the first after the last piece or gap."""

    def __init__(self, options: CutOptions) -> None:
        self._pause = _frames(options.vad_min_silence_duration_ms / 1000)
        self._pad = _frames(options.vad_speech_pad_ms / 1000)
        self._long_pause = max(self._pause, 2 * self._pad + 1)  # longer than what is kept of it
        self._most = int(options.vad_max_speech_duration_s / FRAME_S)
        self._threshold = options.vad_threshold
        self._samples = np.zeros(0, np.float32)
        self._raw = np.zeros(0, np.bool_)  # per frame, hysteresis applied
        self._done = 0  # samples that pieces and gaps have taken
        self._speaking = False  # the last frame's state
        self._inside = False  # whether a piece begins at frame 0

    def cut(self, windows: Iterable[tuple[Samples, Likely]]) -> Iterator[Piece | Gap]:
        """Everything that the windows hold."""
        for samples, likely in windows:
            yield from self.add(samples, likely)
        yield from self.rest()

    def add(self, samples: Samples, likely: Likely) -> Iterator[Piece | Gap]:
        """What one more window decides; a gap may come in parts."""
        self._samples = np.concatenate([self._samples, samples])
        self._raw = np.concatenate([self._raw, self._spoken(likely)])
        yield from self._decided(final=False)

    def rest(self) -> Iterator[Piece | Gap]:
        """What is left when nothing follows."""
        yield from self._decided(final=True)

    @property
    def speech(self) -> Piece | None:
        """The stretch that has begun and not ended, while somebody is speaking; None in a pause."""
        speaking = self._inside and self._raw[-CLICK_FRAMES:].any()
        return Piece(self._done, self._samples) if speaking else None

    def _spoken(self, likely: Likely) -> Speech:
        clear = (likely >= self._threshold) | (likely < self._threshold - HYSTERESIS)
        latest = np.maximum.accumulate(np.where(clear, np.arange(len(likely)), -1))
        spoken: Speech = np.where(latest >= 0, likely[latest] >= self._threshold, self._speaking)
        self._speaking = bool(spoken[-1]) if len(spoken) else self._speaking
        return spoken

    def _decided(self, final: bool) -> Iterator[Piece | Gap]:
        while len(self._raw):
            runs = _runs(tidied(self._raw))
            if not final:  # the latest frames may still turn out to be a click, or a hole
                runs = [run for run in runs if run[0] < len(self._raw) - CLICK_FRAMES]
            frames = self._speech_end(runs, final) if self._inside else self._speech_start(runs, final)
            if frames is None:
                return
            if frames:
                yield self._take(frames)
            self._inside = self._next_inside

    def _speech_start(self, runs: list[tuple[int, int]], final: bool) -> int | None:
        """How many frames to leave out."""
        self._next_inside = bool(runs)
        if not runs:
            waiting = 0 if final else self._pad + CLICK_FRAMES
            if self._done == 0 and not final and len(self._raw) <= 2 * self._pad + CLICK_FRAMES:
                return None  # a short silence at the beginning stays with the first speech
            return max(0, len(self._raw) - waiting) or None
        first = runs[0][0]
        return 0 if self._done == 0 and first <= 2 * self._pad else max(0, first - self._pad)

    def _speech_end(self, runs: list[tuple[int, int]], final: bool) -> int | None:
        """How many frames the piece has; none where only silence is left of it."""
        self._next_inside = True
        total = len(self._raw)
        for (_, end), following in zip_longest(runs, runs[1:]):
            if end > self._most:
                return _quietest(self._samples, self._most // 2, self._most)
            pause = (following[0] if following else total) - end
            if following and self._pause <= pause <= 2 * self._pad:
                return min(end + pause // 2, self._most)
            if pause >= self._long_pause:
                self._next_inside = False
                return min(end + self._pad, self._most)
        if not runs and (final or total >= self._long_pause):
            self._next_inside = False
            return 0
        return min(total, self._most) if final else None

    def _take(self, frames: int) -> Piece | Gap:
        taken, self._samples = np.split(self._samples, [frames * FRAME_SAMPLES])
        self._raw = self._raw[frames:]
        start, self._done = self._done, self._done + len(taken)
        return Piece(start, taken) if self._inside else Gap(start, self._done)


def tidied(speech: Speech) -> Speech:
    """(frames,) without holes inside of words and without clicks."""
    tidy = speech.copy()
    for start, end in _runs(~speech):
        if 0 < start and end < len(speech) and end - start <= HOLE_FRAMES:
            tidy[start:end] = True
    for start, end in _runs(tidy):
        if end - start < CLICK_FRAMES and end < len(speech):
            tidy[start:end] = False
    return tidy


def levels(samples: Samples) -> npt.NDArray[np.float64]:
    """(samples,) -> (frames,) dBFS, a last part of a frame included; -100 at the lowest."""
    whole = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES)).reshape(-1, FRAME_SAMPLES)
    power = np.einsum("ij,ij->i", whole, whole, dtype=np.float64) / FRAME_SAMPLES
    dbfs: npt.NDArray[np.float64] = 10 * np.log10(np.maximum(power, 1e-10))
    return dbfs


def _quietest(samples: Samples, first: int, last: int) -> int:
    """The frame in (first, last] before which a cut hurts least."""
    dbfs = levels(samples[: last * FRAME_SAMPLES])
    # The edges of "same" are averaged with zeros, which are loud.
    smooth = np.convolve(dbfs, np.ones(SMOOTHED_FRAMES) / SMOOTHED_FRAMES, "same")
    return first + 1 + int(smooth[first + 1 :].argmin())


def _runs(marks: Speech) -> list[tuple[int, int]]:
    """Where marks are true: from (inclusive) to (exclusive)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], marks.view(np.int8), [0]])))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _frames(seconds: float) -> int:
    return round(seconds / FRAME_S)
