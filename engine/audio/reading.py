"""Recordings in, one shape out: mono float32 at 16 kHz, in [-1, 1].

Does not know whether a recording is any good (`quality`), how long one may be, or which words are in it. What cannot be
decoded to its end is refused, never shortened quietly.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from ..contract.errors import AudioError
from .mixing import Mix, mix_of
from .sources import BLOCK_FRAMES, AudioInfo, Block, Source, check_rate, open_source

SAMPLE_RATE = 16_000  # Hz
KNOWN_RECORDINGS = 256  # whose channels need not be looked at again

Samples = NDArray[np.float32]
UseStretch = Callable[[int, Samples], None]


def probe(path: Path) -> AudioInfo:
    """Length, rate, channels and format of `path` from its header, without decoding. Raises AudioError."""
    with open_source(path, whole=False) as source:
        return source.info


def stream(recording: Path | Samples) -> Iterator[Samples]:
    """A file, or an array (samples,) at 16 kHz, of any length in constant memory: blocks (samples,) float32.

    Mono (`mixing`), 16 kHz, in [-1, 1]. Reads what libsndfile reads, and through PyAV (`lect[video]`)
    m4a, mp4, webm, mkv, wma, amr and aac. A floating-point recording that passes full scale is turned down as a whole,
    since nothing in it is lost; overshoot from lossy coding and from resampling is cut off at full scale.
    Raises AudioError, one sentence, for a file that is missing, empty, not sound, damaged or cut short (after the part
    that is whole), or that holds no samples, NaN or infinity.
    """
    if isinstance(recording, np.ndarray):
        samples = checked(recording)
        yield from (samples[start : start + BLOCK_FRAMES] for start in range(0, len(samples), BLOCK_FRAMES))
        return
    is_silent = True
    with open_source(recording) as source:
        mix = _mix(recording, source.info)
        loudest = _loudest(recording, mix) if source.headroom else 1.0
        for block in _resampled(source, recording.name, mix):
            is_silent = is_silent and not len(block)
            yield np.clip(block / np.float32(loudest), -1, 1)
    if is_silent:
        raise _no_sound(recording.name)


def load_audio(path: Path) -> Samples:
    """All of `stream(path)` as (samples,) float32. Raises AudioError as that does."""
    return _collected(stream(path))


def each_stretch(path: Path, stretches: Sequence[tuple[float, float]], use: UseStretch) -> float:
    """Hands stretches (start, end in seconds) of `path` to `use`, decoding it once; gives its length in seconds.

    use: called with a stretch's index and (samples,) as `load_audio` gives them, shorter where the recording ends
    first, and never for what begins after its end.
    Memory holds the stretches that are open, not the recording. Raises AudioError as `load_audio` does.
    """
    with open_source(path) as source:

        def close(index: int, samples: Samples) -> None:
            use(index, _limited(samples, source.headroom, path.name))

        found = _Stretches(stretches, close)
        for block in _resampled(source, path.name, _mix(path, source.info)):
            found.add(block)
        found.finish()
    return found.done / SAMPLE_RATE


def from_array(rate: int, samples: NDArray[Any]) -> Samples:
    """A recorder's array, (n,) or (n, channels), signed integers or floats, as (samples,) float32 at 16 kHz.

    Raises AudioError when it is empty, not finite, or of a rate or type that no recorder gives.
    """
    is_float = samples.dtype.kind == "f"
    if not (is_float or samples.dtype.name in ("int16", "int32")) or samples.ndim not in (1, 2):
        raise AudioError(
            f"The recording is a {samples.ndim}-dimensional array of {samples.dtype}: record 16-bit sound."
        )
    if not samples.size:
        raise AudioError("The recording holds no sound: check the microphone and record again.")
    check_rate(rate, "The recording")
    frames = samples if samples.ndim == 2 else samples[:, None]
    info = AudioInfo(len(frames) / rate, rate, frames.shape[1], str(samples.dtype))
    source = Source(info, _scaled(frames), headroom=is_float)
    mix = mix_of(_scaled(frames), rate) if info.channels > 1 else Mix()
    return _limited(_collected(_resampled(source, "The recording", mix)), is_float, "The recording")


def checked(samples: NDArray[Any]) -> Samples:
    """An array (samples,) at 16 kHz as float32. Raises AudioError when it cannot be one."""
    if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
        raise AudioError("The recording is empty, not mono, or holds samples that are not numbers: record it again.")
    return samples.astype(np.float32, copy=False)


def notes(path: Path) -> tuple[str, ...]:
    """What had to be put right or left out in order to read a recording, a sentence each. Raises AudioError."""
    return _notes(path, *_version(path))


@lru_cache(KNOWN_RECORDINGS)
def _notes(path: Path, size: int, changed_ns: int) -> tuple[str, ...]:
    info = probe(path)
    return tuple(filter(None, (info.note, _mix(path, info).note)))


def _mix(path: Path, info: AudioInfo) -> Mix:
    """How a recording's channels become one: decoding goes twice over what has several."""
    return _mix_of(path, *_version(path)) if info.channels > 1 else Mix()


@lru_cache(KNOWN_RECORDINGS)
def _mix_of(path: Path, size: int, changed_ns: int) -> Mix:
    with open_source(path) as source:
        return mix_of(_whole(source.blocks), source.info.rate)


def _whole(blocks: Iterator[Block]) -> Iterator[Block]:
    """Blocks as far as they can be decoded: who reads them for their sound says what is wrong behind that."""
    with suppress(AudioError):
        yield from blocks


def _version(path: Path) -> tuple[int, int]:
    """(bytes, time of the last change in ns): so that what is known of a file is known of no other."""
    try:
        stat = path.stat()
    except OSError as error:
        raise AudioError(f"{path.name} cannot be opened ({error.strerror}): check its path and permissions.") from error
    return stat.st_size, stat.st_mtime_ns


def _loudest(path: Path, mix: Mix) -> float:
    """The peak of a recording that passes full scale; else 1."""
    with open_source(path) as source:
        blocks = _resampled(source, path.name, mix)
        return max(1.0, max((float(np.abs(block).max()) for block in blocks if len(block)), default=1.0))


def _scaled(frames: NDArray[Any]) -> Iterator[Block]:
    """(n, channels) of integers or floats as blocks in [-1, 1], where the floats are."""
    scale = 1.0 if frames.dtype.kind == "f" else 2.0 ** (8 * frames.dtype.itemsize - 1)
    for start in range(0, len(frames), BLOCK_FRAMES):
        yield (frames[start : start + BLOCK_FRAMES] / scale).astype(np.float32)


def _resampled(source: Source, name: str, mix: Mix) -> Iterator[Samples]:
    """A source mixed to one channel at 16 kHz, block by block: (samples,) float32, not limited yet."""
    resampler = soxr.ResampleStream(source.info.rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    for block in source.blocks:
        if not np.isfinite(block).all():
            raise AudioError(f"{name} holds samples that are not numbers (NaN or infinity): export it again.")
        yield resampler.resample_chunk(mix(block))
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _collected(blocks: Iterator[Samples]) -> Samples:
    collected = bytearray()  # grows in place, so the whole is never held twice
    for block in blocks:
        collected += block.tobytes()
    return np.frombuffer(collected, np.float32)


def _limited(samples: Samples, headroom: bool, name: str) -> Samples:
    if not len(samples):
        raise _no_sound(name)
    peak = max(float(samples.max()), -float(samples.min()))
    if headroom and peak > 1:
        samples /= np.float32(peak)
    return np.clip(samples, -1, 1, out=samples)


def _no_sound(name: str) -> AudioError:
    return AudioError(f"{name} holds no sound: record or export it again.")


class _Stretches:
    """Stretches of a stream, in samples: those that wait for their start, and those that wait for their end."""

    def __init__(self, stretches: Sequence[tuple[float, float]], close: UseStretch) -> None:
        starts = [round(start * SAMPLE_RATE) for start, _ in stretches]
        # At least one sample: an annotation of a microsecond must not stop the others.
        ends = [max(start + 1, end * SAMPLE_RATE) for start, (_, end) in zip(starts, stretches, strict=True)]
        self._bounds = list(zip(starts, ends, strict=True))
        self._waiting = deque(sorted(range(len(stretches)), key=self._bounds.__getitem__))
        self._open: dict[int, list[Samples]] = {}
        self._close = close
        self.done = 0  # samples

    def add(self, block: Samples) -> None:
        """The next part of the stream; closes what ends in it."""
        stop = self.done + len(block)
        while self._waiting and self._bounds[self._waiting[0]][0] < stop:
            self._open[self._waiting.popleft()] = []
        for index in list(self._open):
            start, end = self._bounds[index]
            last = len(block) if end >= stop else round(end) - self.done
            self._open[index].append(block[max(start - self.done, 0) : last])
            if end <= stop:
                self._close(index, np.concatenate(self._open.pop(index)))
        self.done = stop

    def finish(self) -> None:
        """Closes what the stream's end cuts short."""
        for index, parts in self._open.items():
            self._close(index, np.concatenate(parts))
