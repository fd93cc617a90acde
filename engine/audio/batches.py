"""Waveforms in batches: which clips go together, and how they are padded. Needs no torch; torch and ONNX share it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# A frontend's convolutions need at least one window; what is padded up to here still counts with its own length.
LEAST_SAMPLES = 1_600


def batches_by_length(lengths: Sequence[int], limit: float, least: int = 0) -> list[list[int]]:
    """Indices in batches of like length, each of at most `limit` padded samples (or one clip), longest last.

    least: to how many samples shorter clips are padded anyway.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        if not batches or (len(batches[-1]) + 1) * max(lengths[index], least) > limit:
            batches.append([])
        batches[-1].append(index)
    return batches


def padded(waveforms: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(samples,) each -> (batch, samples), zero beyond each clip, and the lengths (batch,)."""
    lengths = np.array([len(waveform) for waveform in waveforms], np.int64)
    audio = np.zeros((len(waveforms), max(LEAST_SAMPLES, lengths.max())), np.float32)
    for row, waveform in zip(audio, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return audio, lengths
