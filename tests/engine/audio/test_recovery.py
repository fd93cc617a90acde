"""Sound that used to be lost: in channels that cancel out, behind headers that were never finished or count wrongly."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lect.engine.audio.reading import SAMPLE_RATE, each_stretch, from_array, load_audio, notes, probe
from lect.engine.audio.unfinished import NOTE
from tests.engine.audio.test_reading import noise, refusal, tone, written


def stored(path: Path, *channels: np.ndarray, rate: int = SAMPLE_RATE) -> Path:
    soundfile.write(path, np.stack(channels, axis=1), rate)
    return path


@pytest.mark.parametrize(
    ("right", "expected", "note"),
    [
        (-1.0, 1.0, "Its channels cancel each other out: only channel 1 was read."),
        (-0.7, 1.0, "Its channels cancel each other out: only channel 1 was read."),
        (-1.3, -1.3, "Its channels cancel each other out: only channel 2 was read."),
        (0.0, 1.0, "Of its 2 channels only channel 1 had sound: the rest was left out."),
        (1.0, 1.0, ""),
        (0.3, 0.65, ""),
    ],
)
def test_channels_are_chosen_by_what_they_hold(tmp_path: Path, right: float, expected: float, note: str) -> None:
    left = tone(amplitude=0.3, seconds=2.0)
    path = stored(tmp_path / "a.wav", left, np.float32(right) * left)
    assert notes(path) == tuple(filter(None, [note]))
    np.testing.assert_allclose(load_audio(path), expected * left, atol=1e-3)
    np.testing.assert_allclose(
        from_array(SAMPLE_RATE, np.stack([left, np.float32(right) * left], 1)), expected * left, atol=1e-3
    )
    cut: list[np.ndarray] = []
    each_stretch(path, [(0.5, 1.0)], lambda index, samples: cut.append(samples))
    np.testing.assert_allclose(cut[0], expected * left[8_000:16_000], atol=1e-3)


def test_two_speakers_in_two_channels_both_stay(tmp_path: Path) -> None:
    left, right = np.concatenate([noise(12), np.zeros(160_000, np.float32)]), np.zeros(22 * SAMPLE_RATE, np.float32)
    right[-160_000:] = tone(seconds=10)
    path = stored(tmp_path / "a.wav", left, right)
    assert notes(path) == ()
    np.testing.assert_allclose(load_audio(path), (left + right) / 2, atol=1e-3)


def test_a_file_that_changes_is_looked_at_again(tmp_path: Path) -> None:
    stored(tmp_path / "a.wav", tone(), -tone())
    assert notes(tmp_path / "a.wav")
    stored(tmp_path / "a.wav", tone(seconds=2.0), tone(seconds=2.0))
    assert not notes(tmp_path / "a.wav")


def unfinished(path: Path, riff: int, data: int, samples: np.ndarray, extra: bytes = b"") -> Path:
    """A WAV with these sizes in its header; extra: chunks before the data."""
    pcm = np.round(samples * 32_767).astype("<i2").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", riff, b"WAVE", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    path.write_bytes(head + extra + struct.pack("<4sI", b"data", data) + pcm)
    return path


@pytest.mark.parametrize(
    ("riff", "data", "extra"),
    [
        (0, 0, b""),
        (36, 0, b""),
        (0, 0, b"bext" + struct.pack("<I", 602) + bytes(602)),
        (0, 0, b"LIST" + struct.pack("<I", 3) + b"abc\0"),
        (36 + 8_000, 8_000, b""),  # written a while before the power went
        (0xFFFF_FFFF, 0, b""),
    ],
)
def test_a_header_that_was_never_finished(tmp_path: Path, riff: int, data: int, extra: bytes) -> None:
    samples = noise(4.0)
    path = unfinished(tmp_path / "a.wav", riff, data, samples, extra)
    assert probe(path).seconds == 4.0 and notes(path) == (NOTE,)
    np.testing.assert_allclose(load_audio(path), samples, atol=1e-3)


def test_rf64_that_was_never_finished(tmp_path: Path) -> None:
    samples = noise(2.0)
    soundfile.write(tmp_path / "a.rf64", samples, SAMPLE_RATE, format="RF64", subtype="PCM_16")
    data = bytearray((tmp_path / "a.rf64").read_bytes())
    data[20:44] = bytes(24)
    (tmp_path / "a.rf64").write_bytes(data)
    assert notes(tmp_path / "a.rf64") == (NOTE,)
    np.testing.assert_allclose(load_audio(tmp_path / "a.rf64"), samples, atol=1e-3)


@pytest.mark.parametrize("channels", [1, 2])
def test_aiff_that_was_never_finished(tmp_path: Path, channels: int) -> None:
    samples = noise(2.0)
    soundfile.write(tmp_path / "a.aiff", np.stack([samples] * channels, 1), SAMPLE_RATE, subtype="PCM_16")
    data = bytearray((tmp_path / "a.aiff").read_bytes())
    for at in (4, data.index(b"COMM") + 10, data.index(b"SSND") + 4):
        data[at : at + 4] = bytes(4)
    (tmp_path / "a.aiff").write_bytes(data)
    assert notes(tmp_path / "a.aiff") == (NOTE,)
    np.testing.assert_allclose(load_audio(tmp_path / "a.aiff"), samples, atol=1e-3)


@pytest.mark.parametrize("behind", [b"LIST" + bytes(90_000), bytes(90_000), b"ID3\x04" + bytes(range(256)) * 400])
def test_what_lies_behind_finished_sound_is_no_sound(tmp_path: Path, behind: bytes) -> None:
    soundfile.write(tmp_path / "a.wav", tone(), SAMPLE_RATE)
    with (tmp_path / "a.wav").open("ab") as file:
        file.write(behind)
    assert probe(tmp_path / "a.wav").seconds == 1.0 and notes(tmp_path / "a.wav") == ()


def test_a_header_without_sound_behind_it_is_refused(tmp_path: Path) -> None:
    unfinished(tmp_path / "a.wav", 0, 0, np.zeros(0, np.float32))
    assert "holds no sound" in refusal(tmp_path / "a.wav")


@pytest.mark.parametrize("overstated", [0, 1_661, 20_000])
def test_mp3_in_wav_whose_header_counts_too_much(tmp_path: Path, overstated: int) -> None:
    whole = written(tmp_path / "a.mp3", "libmp3lame", "mono")
    stream = whole.read_bytes()
    start = stream.index(b"\xff\xfb")
    fact = struct.pack("<4sII", b"fact", 4, 48_000 + 1_152 + overstated)
    form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, 48_000, 8_000, 1_152, 0, 12, 1, 2, 1_152, 1, 1_393)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + fact
    body += struct.pack("<4sI", b"data", len(stream) - start) + stream[start:]
    (tmp_path / "b.wav").write_bytes(struct.pack("<4sI", b"RIFF", len(body)) + body)
    assert len(load_audio(tmp_path / "b.wav")) == pytest.approx(SAMPLE_RATE, abs=0.15 * SAMPLE_RATE)
