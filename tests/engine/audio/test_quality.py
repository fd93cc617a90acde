"""Each distortion gets its word, and a sound take is left alone. Synthetic; the limits came from real takes."""

import json
import time
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lect.engine.audio.quality import MAX_SECONDS, MIN_SECONDS, Quality, measure, usable
from lect.engine.audio.reading import SAMPLE_RATE, Samples, load_audio
from lect.engine.contract.files import ASSETS

VERDICTS = {"good", "too quiet", "clipped", "noisy", "empty", "cut off", "too long", "too short"}


def noise(samples: int, dbfs: float, seed: int = 0) -> Samples:
    """White noise at a level: (samples,)."""
    return (10 ** (dbfs / 20) * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def syllables(seconds: float = 3.0, dbfs: float = -20.0, pause_s: float = 0.5, seed: int = 0) -> Samples:
    """Something like speech: voiced syllables of 0.25 s, varied in pitch and loudness, between two pauses."""
    rng = np.random.default_rng(seed)
    count = max(1, int((seconds - 2 * pause_s) / 0.25))
    parts = []
    for _ in range(count):
        time_s = np.arange(int(0.25 * SAMPLE_RATE)) / SAMPLE_RATE
        pitch = rng.uniform(90, 220) * (1 + rng.uniform(-0.2, 0.2) * time_s / 0.25)
        phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
        voice = sum(np.sin(k * phase + rng.uniform(0, 6)) / k**1.2 for k in range(1, 20))
        parts.append(voice * np.hanning(len(time_s)) * rng.uniform(0.5, 1.0))
    voice = np.concatenate(parts)
    voice *= 10 ** (dbfs / 20) / np.sqrt((voice**2).mean())
    pause = np.zeros(int(pause_s * SAMPLE_RATE))
    take = np.concatenate([pause, voice, pause])
    return np.clip(take + noise(len(take), -65, seed), -1, 1).astype(np.float32)


def cut_at(take: Samples) -> int:
    """A sample in the middle of a syllable, half way through."""
    start = len(take) // 2
    return start + int(np.abs(take[start : start + SAMPLE_RATE // 2]).argmax())


@pytest.mark.parametrize("seed", range(8))
def test_a_sound_take_is_good(seed: int) -> None:
    quality = measure(syllables(seed=seed))
    assert quality.verdict == "good" and usable(quality)
    assert quality.seconds == 3.0
    assert quality.speech_dbfs == pytest.approx(-20, abs=3)
    assert quality.noise_dbfs == pytest.approx(-65, abs=2)
    assert quality.snr_db == pytest.approx(45, abs=4)
    assert quality.leading_silence_s == pytest.approx(0.5, abs=0.08)
    assert quality.trailing_silence_s == pytest.approx(0.5, abs=0.08)
    assert not quality.cut_start and not quality.cut_end
    assert quality.clipped_share < 1e-4


@pytest.mark.parametrize("seed", range(8))
def test_overload_is_found_even_when_turned_down_later(seed: int) -> None:
    take = syllables(seed=seed)
    overloaded = np.clip(take / np.abs(take).max() * 2, -1, 1)
    for level in (1.0, 0.3):
        quality = measure((overloaded * level).astype(np.float32))
        assert quality.verdict == "clipped" and quality.clipped_share > 1e-3
        assert usable(quality)


def test_touching_full_scale_is_not_clipping() -> None:
    take = syllables()
    quality = measure((take / np.abs(take).max()).astype(np.float32))
    assert quality.peak_dbfs == 0 and quality.verdict == "good"


@pytest.mark.parametrize("seed", range(4))
def test_quiet_takes(seed: int) -> None:
    pcm = np.rint(syllables(dbfs=-52, seed=seed) * 32_768) / 32_768
    quality = measure((pcm * 0.5).astype(np.float32))
    assert quality.verdict == "too quiet" and usable(quality)


@pytest.mark.parametrize("seed", range(4))
def test_takes_cut_at_either_end(seed: int) -> None:
    take = syllables(5, seed=seed)
    start, end = measure(take[cut_at(take) :]), measure(take[: cut_at(take)])
    assert start.verdict == end.verdict == "cut off"
    assert (start.cut_start, start.cut_end) == (True, False)
    assert (end.cut_start, end.cut_end) == (False, True)
    assert start.leading_silence_s == 0 and end.trailing_silence_s == 0


def test_a_voice_that_begins_at_once_is_not_cut_and_one_that_goes_on_is() -> None:
    rng, flagged, found, tried = np.random.default_rng(0), 0, 0, 0
    # espeak-ng leaves no pause before it speaks, and its wave is more often near zero than a person's.
    clips = sorted((ASSETS / "sample" / "audio").glob("*.ogg"))
    for clip in clips:
        take = load_audio(clip)
        flagged += measure(take).verdict == "cut off"
        start = int(rng.integers(len(take) // 4, len(take) // 2))
        edge = take[start : start + SAMPLE_RATE // 25]
        if np.sqrt((edge**2).mean()) > 0.5 * np.sqrt((take**2).mean()):  # not in a pause
            tried += 1
            found += measure(take[start:]).cut_start
    assert len(clips) == 170 and flagged < 0.1 * len(clips)
    assert tried > 100 and found > 0.75 * tried, (found, tried)


def test_a_click_at_the_start_is_not_speech() -> None:
    take = syllables().copy()
    take[100:500] += noise(400, -12)
    quality = measure(take)
    assert quality.verdict == "good" and quality.leading_silence_s == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("seed", range(4))
def test_noisy_takes(seed: int) -> None:
    take = syllables(seed=seed)
    assert measure(take + noise(len(take), -28)).verdict == "noisy"
    assert measure(take + noise(len(take), -50)).verdict == "good"


@pytest.mark.parametrize(
    "take",
    [
        np.zeros(3 * SAMPLE_RATE, np.float32),
        np.full(3 * SAMPLE_RATE, 0.2, np.float32),  # a constant offset is no sound
        noise(3 * SAMPLE_RATE, -65),
        noise(3 * SAMPLE_RATE, -20),
        np.rint(noise(3 * SAMPLE_RATE, -96) * 32_768).astype(np.float32) / 32_768,
        (0.3 * np.sin(2 * np.pi * 50 * np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE)).astype(np.float32),  # mains hum
    ],
    ids=["digital silence", "offset", "room", "fan", "last bit", "hum"],
)
def test_no_speech(take: Samples) -> None:
    quality = measure(take)
    assert quality.verdict == "empty" and not usable(quality)
    assert quality.leading_silence_s == quality.trailing_silence_s == quality.seconds
    assert not quality.cut_start and not quality.cut_end


def test_clicks_in_a_quiet_room_are_not_speech() -> None:
    take = noise(5 * SAMPLE_RATE, -65)
    for start in (9_000, 30_000, 61_000):
        take[start : start + 160] += noise(160, -12)
    assert measure(take).verdict == "empty"


@pytest.mark.parametrize(("seconds", "verdict"), [(0.05, "too short"), (0.29, "too short"), (31, "too long")])
def test_lengths(seconds: float, verdict: str) -> None:
    take = np.resize(syllables(), int(seconds * SAMPLE_RATE))
    quality = measure(take)
    assert quality.verdict == verdict and not usable(quality)


def test_the_limits_of_length_are_inside() -> None:
    take = syllables(40)
    assert measure(take[SAMPLE_RATE // 2 :][: int(MIN_SECONDS * SAMPLE_RATE)]).verdict not in ("too short", "too long")
    assert measure(take[: int(MAX_SECONDS * SAMPLE_RATE)]).verdict != "too long"


def test_offset_does_not_change_levels() -> None:
    plain, offset = measure(syllables()), measure(syllables() + np.float32(0.1))
    assert offset.noise_dbfs == pytest.approx(plain.noise_dbfs, abs=0.2)
    assert offset.speech_dbfs == pytest.approx(plain.speech_dbfs, abs=0.2)
    assert offset.verdict == "good"


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 6_000),
    st.sampled_from([0.0, 1e-6, 1e-3, 0.3, 1.0]),
    st.sampled_from(["noise", "constant", "step", "impulse"]),
)
def test_figures_are_finite_and_survive_json(samples: int, level: float, kind: str) -> None:
    wave = {
        "noise": np.clip(noise(samples, 0), -1, 1),
        "constant": np.ones(samples),
        "step": np.arange(samples) > samples / 2,
        "impulse": np.arange(samples) == 0,
    }[kind]
    quality = measure((level * wave).astype(np.float32))
    assert quality.verdict in VERDICTS
    assert Quality(**json.loads(json.dumps(asdict(quality), allow_nan=False))) == quality
    assert {type(value) for value in asdict(quality).values()} <= {float, bool, str}


def test_ten_seconds_take_milliseconds() -> None:
    take = np.resize(syllables(), 10 * SAMPLE_RATE)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        measure(take)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.02
