"""Waveforms back to files of 16 bits a sample. What was read from such a file is written as the same bits."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from ..contract.files import atomic_path, write_bytes
from .reading import SAMPLE_RATE, Samples


def write_wav(path: Path, samples: Samples) -> None:
    """Writes (samples,) float32 at 16 kHz as a 16-bit WAV, atomically; `load_audio` gives the same 16 bits back."""
    write_bytes(path, encoded(samples, "WAV"))


def encoded(samples: Samples, container: Literal["WAV", "FLAC"]) -> bytes:
    """(samples,) float32 at 16 kHz as a file of 16 bits a sample."""
    buffer = io.BytesIO()
    soundfile.write(buffer, _pcm(samples), SAMPLE_RATE, format=container, subtype="PCM_16")
    return buffer.getvalue()


def write_flac(path: Path, blocks: Iterable[Samples]) -> None:
    """Writes a recording of any length as `encoded` would, atomically and in constant memory."""
    with atomic_path(path) as temporary:
        with soundfile.SoundFile(temporary, "w", SAMPLE_RATE, 1, "PCM_16", format="FLAC") as file:
            for block in blocks:
                file.write(_pcm(block))


def _pcm(samples: Samples) -> NDArray[np.int16]:
    assert samples.ndim == 1 and np.isfinite(samples).all()
    # Scaled here, because libsndfile multiplies by 32767 when it writes and divides by 32768 when it reads.
    pcm: NDArray[np.int16] = np.clip(np.rint(samples * np.float32(32_768)), -32_768, 32_767).astype(np.int16)
    return pcm
