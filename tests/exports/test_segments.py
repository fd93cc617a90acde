"""Cutting at pauses: nothing is lost, nothing overlaps, nothing is longer than allowed, and words stay whole."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lect.engine.audio.reading import SAMPLE_RATE, load_audio
from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import ASSETS
from lect.exports.segments import FRAME_S, FRAME_SAMPLES, CutOptions, Gap, Piece, cut, levels, tidied
from lect.exports.vad import METHODS, EnergyGate, Silero, detector, regrouped

Found = list[Piece | Gap]
SPEECH = ASSETS / "sample" / "audio" / "Andrea-0008.ogg"


def windows(speech: list[bool], block: int, tail: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Samples that are loud where there is speech, `block` frames at a time; the last frame lacks `tail` samples."""
    marks = np.array(speech, np.float32)
    samples = np.repeat(marks, FRAME_SAMPLES) * 0.5
    samples = samples[: len(samples) - tail]
    for start in range(0, len(marks), block):
        yield samples[start * FRAME_SAMPLES : (start + block) * FRAME_SAMPLES], marks[start : start + block]


def frames(seconds: float) -> int:
    return round(seconds / FRAME_S)


def stretches(*lengths: float) -> list[bool]:
    """Silence, speech, silence, ... of these lengths in seconds."""
    return [bool(index % 2) for index, seconds in enumerate(lengths) for _ in range(frames(seconds))]


def seconds(found: Found) -> list[tuple[str, float, float]]:
    ends = [each.end for each in found]
    return [
        (type(each).__name__, round(each.start / SAMPLE_RATE, 1), round(end / SAMPLE_RATE, 1))
        for each, end in zip(found, ends, strict=True)
    ]


def test_long_silences_are_left_out_and_short_ones_halved() -> None:
    found = list(cut(windows(stretches(3, 2, 0.6, 2, 2, 1, 5), 50), CutOptions()))
    assert seconds(found) == [
        ("Gap", 0.0, 2.6), ("Piece", 2.6, 5.3), ("Piece", 5.3, 8.0), ("Gap", 8.0, 9.2), ("Piece", 9.2, 10.9),
        ("Gap", 10.9, 15.6),
    ]  # fmt: skip


def test_a_short_clip_is_one_piece_with_its_silences() -> None:
    found = list(cut(windows(stretches(0.7, 2, 0.4, 1, 0.7), 30), CutOptions()))
    assert [type(each) for each in found] == [Piece]


def test_speech_without_pauses_is_cut_where_it_is_quietest() -> None:
    speech = stretches(0, 14, 0.3, 14)
    first, second = cut(windows(speech, 40), CutOptions())
    assert first.end == second.start and abs(first.end / SAMPLE_RATE - 14.15) < 0.15


def test_nothing_but_silence_is_one_gap() -> None:
    found = list(cut(windows([False] * 5_000, 60), CutOptions()))
    assert found == [Gap(0, 5_000 * FRAME_SAMPLES)]


@settings(max_examples=150, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 120), min_size=1, max_size=30),
    speaks=st.booleans(),
    block=st.integers(1, 200),
    pad=st.integers(0, 600),
    most=st.integers(1, 6),
    tail=st.integers(0, FRAME_SAMPLES - 1),
)
def test_pieces_and_gaps_are_the_recording(
    lengths: list[int], speaks: bool, block: int, pad: int, most: int, tail: int
) -> None:
    speech = [bool((index + speaks) % 2) for index, length in enumerate(lengths) for _ in range(length)]
    options = CutOptions(vad_speech_pad_ms=pad, vad_max_speech_duration_s=most)
    found = list(cut(windows(speech, block, tail), options))
    whole = np.concatenate([samples for samples, _ in windows(speech, block, tail)])
    assert [each.start for each in found] == [0, *(each.end for each in found[:-1])] and found[-1].end == len(whole)
    kept = np.zeros(len(speech), bool)
    for piece in found:
        if isinstance(piece, Piece):
            assert 0 < len(piece.samples) <= most * SAMPLE_RATE
            assert np.array_equal(piece.samples, whole[piece.start : piece.end])
            kept[piece.start // FRAME_SAMPLES : -(-piece.end // FRAME_SAMPLES)] = True
    lost = tidied(np.array(speech)) & ~kept
    assert lost.sum() <= 2 * sum(isinstance(each, Gap) for each in found)  # a scrap behind a cut, shorter than a click


@pytest.mark.parametrize(
    "wrong",
    [
        {"vad_threshold": 1.0},
        {"vad_min_silence_duration_ms": 0},
        {"vad_speech_pad_ms": -1},
        {"vad_max_speech_duration_s": 31},
    ],
)
def test_options_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        CutOptions(**wrong)


def noisy(rng: np.random.Generator, seconds: float, level: float) -> np.ndarray:
    return (level * rng.standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)


def test_the_gate_finds_sound_over_noise_and_nothing_in_noise_alone() -> None:
    rng = np.random.default_rng(0)
    sound = np.concatenate([noisy(rng, 4, 0.003), noisy(rng, 2, 0.2), noisy(rng, 4, 0.003)])
    (samples, likely), *more = EnergyGate().windows([sound])
    assert not more and len(samples) == len(sound)
    times = np.flatnonzero(likely > 0.5) * FRAME_S
    assert abs(times[0] - 4) < 0.07 and abs(times[-1] - 6) < 0.07
    for quiet in (np.zeros(5 * SAMPLE_RATE, np.float32), noisy(rng, 70, 0.05)):
        assert max(likely.max() for _, likely in EnergyGate().windows([quiet])) < 0.5


def test_silero_is_not_fooled_by_sound_that_is_no_speech() -> None:
    time = np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE
    chord = sum(np.sin(2 * np.pi * pitch * time) for pitch in (220, 277, 330)) * (np.sin(2 * np.pi * time) > 0) / 9
    for sound in (chord.astype(np.float32), noisy(np.random.default_rng(0), 10, 0.1), np.zeros(10**5, np.float32)):
        likely = np.concatenate([likely for _, likely in Silero().windows([sound])])
        assert np.mean(likely > 0.5) < 0.02


def test_silero_finds_speech_whatever_the_portions() -> None:
    silence = np.zeros(2 * SAMPLE_RATE, np.float32)
    sound = np.concatenate([silence, load_audio(SPEECH), silence])
    whole = np.concatenate([likely for _, likely in Silero().windows([sound])])
    portions = [sound[start : start + 3_001] for start in range(0, len(sound), 3_001)]
    assert np.allclose(np.concatenate([likely for _, likely in Silero().windows(portions)]), whole, atol=1e-5)
    times = np.flatnonzero(whole > 0.5) * FRAME_S
    assert 1.9 < times[0] < 2.4 and times[-1] < len(sound) / SAMPLE_RATE - 1.8


def test_a_detector_is_chosen_by_name() -> None:
    assert [detector(name).name for name in METHODS] == list(METHODS)
    with pytest.raises(UsageError, match="use silero, energy or off"):
        detector("loud")  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 2_000), max_size=20), st.integers(1, 700))
def test_samples_are_regrouped_without_loss(lengths: list[int], size: int) -> None:
    blocks = [np.full(length, index, np.float32) for index, length in enumerate(lengths)]
    groups = list(regrouped(blocks, size))
    assert all(len(group) % size == 0 for group in groups[:-1])
    assert np.array_equal(np.concatenate([*groups, np.zeros(0)]), np.concatenate([*blocks, np.zeros(0)]))


def test_levels_count_the_last_part_of_a_frame() -> None:
    assert len(levels(np.ones(FRAME_SAMPLES + 1, np.float32))) == 2
    assert levels(np.zeros(10, np.float32)).tolist() == [-100.0]
