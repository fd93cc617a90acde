"""Augmentation changes what it says it changes, and nothing else."""

import numpy as np
import pytest
import torch

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.contract.train_settings import Augmentation
from lect.engine.model.frontend import Frames
from lect.engine.training.augment import (
    SpecAugment,
    add_noise,
    add_room,
    augment,
    change_speed,
    clip_peaks,
    narrow_band,
)


def tone(hz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype(np.float32)


def loudest_hz(waveform: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(waveform)).argmax() * SAMPLE_RATE / len(waveform))


def test_speed_changes_length_and_pitch() -> None:
    fast = change_speed(tone(400), 1.25)
    assert len(fast) == pytest.approx(SAMPLE_RATE / 1.25, abs=40)
    assert loudest_hz(fast) == pytest.approx(500, abs=3)


def test_noise_is_mixed_at_the_ratio_asked_for() -> None:
    signal, noise = tone(400), np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32)
    added = add_noise(signal, noise, 10.0) - signal
    assert 10 * np.log10(np.mean(signal**2) / np.mean(added**2)) == pytest.approx(10, abs=0.01)
    assert np.array_equal(add_noise(np.zeros_like(signal), noise, 10.0), np.zeros_like(signal))


def test_a_room_adds_a_tail_and_keeps_length_and_start() -> None:
    click = np.zeros(SAMPLE_RATE, np.float32)
    click[1000] = 1
    wet = add_room(click, np.random.default_rng(0))
    assert len(wet) == len(click) and wet[1000] == pytest.approx(1, abs=0.1)
    assert np.abs(wet[:999]).max() < 1e-5 and np.abs(wet[1001:5000]).max() > 1e-3


def test_a_narrow_band_carries_nothing_above_it() -> None:
    both = narrow_band(tone(1000) + tone(6000), 3400)
    spectrum = np.abs(np.fft.rfft(both))
    assert len(both) == SAMPLE_RATE and spectrum[6000] < 0.01 * spectrum[1000]


def test_clipping_cuts_the_peaks() -> None:
    assert np.abs(clip_peaks(tone(400), 0.3)).max() == pytest.approx(0.15, abs=0.001)


def test_copies_repeat_by_seed_and_differ_between_seeds() -> None:
    copies = [augment(tone(400), Augmentation(), (), np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(copies[0], copies[1])
    assert len(copies[0]) != len(copies[2]) or not np.array_equal(copies[0], copies[2])
    assert all(copy.dtype == np.float32 and np.isfinite(copy).all() for copy in copies)


def test_spec_augment_masks_spans_inside_each_clip() -> None:
    torch.manual_seed(0)
    frames = Frames(torch.ones(4, 200, 40), torch.tensor([200, 200, 200, 50]))
    masked = SpecAugment(time_masks=2, time_share=0.2, bands=1, band_share=0.3)(frames).values
    silent = (masked == 0).all(2)
    assert silent.any() and not silent[3, 50:].any() and silent.float().mean() < 0.4
    assert (masked == 0).all(1).any() and (frames.values == 1).all()
