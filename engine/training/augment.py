"""Ways to make one recording sound like another: speed, noise, rooms, narrow bands, clipping; and masks on features.

All waveform functions take and give (samples,) float32 at 16 kHz and draw from the generator they are handed, so the
same seed gives the same copy. It does not know clips or files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr
import torch

from ..audio.reading import SAMPLE_RATE
from ..contract.train_settings import Augmentation
from ..model.frontend import Frames

Waveform = np.ndarray


def augment(
    waveform: Waveform, settings: Augmentation, noises: Sequence[Waveform], rng: np.random.Generator
) -> Waveform:
    """One random copy of a recording."""
    if rng.random() < settings.speed_share:
        waveform = change_speed(waveform, 1 + rng.uniform(-settings.speed, settings.speed))
    if rng.random() < settings.room_share:
        waveform = add_room(waveform, rng)
    if rng.random() < settings.noise_share:
        waveform = add_noise(waveform, _noise(len(waveform), noises, rng), rng.uniform(*settings.snr_db))
    if rng.random() < settings.band_share:
        waveform = narrow_band(waveform, rng.uniform(2800, 5500))
    if rng.random() < settings.clip_share:
        waveform = clip_peaks(waveform, rng.uniform(0.15, 0.6))
    return waveform


def change_speed(waveform: Waveform, speed: float) -> Waveform:
    """Played `speed` times as fast: length is divided, pitch multiplied by it."""
    resampled: Waveform = soxr.resample(waveform, SAMPLE_RATE * speed, SAMPLE_RATE, quality="LQ")
    return resampled


def add_noise(waveform: Waveform, noise: Waveform, snr_db: float) -> Waveform:
    """The recording with `noise`, as long as it, mixed in at a signal-to-noise ratio over the whole clip."""
    signal, power = np.mean(waveform**2), np.mean(noise**2)
    if signal == 0 or power == 0:
        return waveform
    return waveform + noise * np.float32(np.sqrt(signal / power * 10 ** (-snr_db / 10)))


def _noise(samples: int, noises: Sequence[Waveform], rng: np.random.Generator) -> Waveform:
    """A stretch of recorded noise, or coloured noise (power falling as 1/f^0..2) where none was given or by turns."""
    if noises and rng.random() < 0.6:
        noise = noises[int(rng.integers(len(noises)))]
        start = rng.integers(len(noise))
        return np.resize(np.roll(noise, -start), samples).astype(np.float32)
    spectrum = np.fft.rfft(rng.standard_normal(samples).astype(np.float32))
    slope = rng.uniform(0, 1)
    spectrum /= np.maximum(np.arange(len(spectrum)), 1) ** slope
    return np.fft.irfft(spectrum, samples).astype(np.float32)


def add_room(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """A synthetic room: exponentially decaying noise as impulse response, direct sound first and louder."""
    decay_s = rng.uniform(0.08, 0.5)  # time to fall by 60 dB
    length = int(decay_s * SAMPLE_RATE)
    response = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    response *= rng.uniform(0.05, 0.4) / np.sqrt(np.sum(response**2))
    response[0] = 1
    size = 1 << (len(waveform) + length - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(waveform, size) * np.fft.rfft(response, size), size)
    return wet[: len(waveform)].astype(np.float32)


def narrow_band(waveform: Waveform, highest_hz: float) -> Waveform:
    """The recording as through a line that carries nothing above `highest_hz`."""
    narrow = soxr.resample(waveform, SAMPLE_RATE, 2 * highest_hz, quality="LQ")
    wide = soxr.resample(narrow, 2 * highest_hz, SAMPLE_RATE, quality="LQ").astype(np.float32)
    return np.pad(wide, (0, max(0, len(waveform) - len(wide))))[: len(waveform)]


def clip_peaks(waveform: Waveform, share_of_peak: float) -> Waveform:
    """An overdriven input: everything above a share of the peak is cut off."""
    limit = np.max(np.abs(waveform)) * share_of_peak
    return np.clip(waveform, -limit, limit) if limit > 0 else waveform


@dataclass(frozen=True)
class SpecAugment:
    """Masks on a batch of features (Park et al. 2019), zeros being the mean of normalised features."""

    time_masks: int = 4
    time_share: float = 0.05  # longest mask, as a share of the clip
    bands: int = 2
    band_share: float = 0.25  # widest mask, as a share of the features

    def __call__(self, frames: Frames) -> Frames:
        """frames: (batch, frames, dim), masked in place of a copy."""
        values = frames.values
        batch, length, dim = values.shape
        steps = torch.arange(length, device=values.device)
        channels = torch.arange(dim, device=values.device)
        keep = torch.ones(batch, length, 1, dtype=torch.bool, device=values.device)
        for _ in range(self.time_masks):
            keep &= ~_span(steps, frames.lengths, self.time_share)[..., None]
        keep_bands = torch.ones(batch, 1, dim, dtype=torch.bool, device=values.device)
        for _ in range(self.bands):
            keep_bands &= ~_span(channels, torch.full_like(frames.lengths, dim), self.band_share)[:, None, :]
        return Frames(values * (keep & keep_bands), frames.lengths)


def _span(places: torch.Tensor, sizes: torch.Tensor, share: float) -> torch.Tensor:
    """(batch, places) bool: one random span in each row, of up to `share` of its size."""
    width = (torch.rand(len(sizes), device=places.device) * share * sizes)[:, None]
    start = (torch.rand(len(sizes), device=places.device)[:, None] * (sizes[:, None] - width)).floor()
    return (places[None, :] >= start) & (places[None, :] < start + width)
