"""A recording of any length as a stream of mono float32 at 16 kHz: memory does not grow with its length.

The same files, the same checks and the same samples as `load_audio`. It does not know what is in them.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soxr

from lect.engine.audio.reading import (
    BLOCK_FRAMES,
    SAMPLE_RATE,
    Samples,
    _check_is_file,
    _ffmpeg_source,
    _NeedsFFmpeg,
    _sndfile_source,
    _Source,
)
from lect.engine.contract.errors import AudioError

Opener = Callable[[BinaryIO, str], _Source]


def stream(source: Path | Samples) -> Iterator[Samples]:
    """Blocks of a file, or of an array (samples,) float32 at 16 kHz: (samples,) each, in [-1, 1].

    Raises AudioError, for a damaged file after the part that is whole.
    """
    if isinstance(source, np.ndarray):
        yield from _blocks_of(source)
        return
    loudest = _loudest(source)
    any_sound = False
    for block in _heard(source):
        any_sound = any_sound or len(block) > 0
        yield np.clip(block / np.float32(loudest), -1, 1)
    if not any_sound:
        raise AudioError(f"{source.name} holds no sound: record or export it again.")


def _blocks_of(samples: Samples) -> Iterator[Samples]:
    if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
        raise AudioError("The recording is empty, not mono, or holds samples that are not numbers: record it again.")
    for start in range(0, len(samples), BLOCK_FRAMES):
        yield samples[start : start + BLOCK_FRAMES].astype(np.float32, copy=False)


def _loudest(path: Path) -> float:
    """The peak of a floating-point recording that passes full scale, which is turned down as a whole; else 1."""
    try:
        has_headroom = any(source.headroom for source in _opened(path, _sndfile_source))
    except _NeedsFFmpeg:
        return 1.0
    if not has_headroom:
        return 1.0
    return max(1.0, max((float(np.abs(block).max()) for block in _heard(path) if len(block)), default=1.0))


def _heard(path: Path) -> Iterator[Samples]:
    """16 kHz blocks by libsndfile; where that gives up, from there on by FFmpeg."""
    given = 0
    try:
        for block in _resampled(path, _sndfile_source):
            given += len(block)
            yield block
    except _NeedsFFmpeg as need:
        for block in _resampled(path, partial(_ffmpeg_source, need=need)):
            yield block[given:]
            given = max(0, given - len(block))


def _resampled(path: Path, opener: Opener) -> Iterator[Samples]:
    for source in _opened(path, opener):
        resampler = soxr.ResampleStream(source.info.rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
        for block in source.blocks:
            if not np.isfinite(block).all():
                raise AudioError(f"{path.name} holds samples that are not numbers (NaN or infinity): export it again.")
            yield resampler.resample_chunk(block.mean(axis=1, dtype=np.float32))
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _opened(path: Path, opener: Opener) -> Iterator[_Source]:
    """One open source; the file closes with the generator."""
    try:
        _check_is_file(path)
        with path.open("rb") as file:
            yield opener(file, path.name)
    except OSError as error:
        raise AudioError(f"{path.name} cannot be opened ({error.strerror}): check its path and permissions.") from error
