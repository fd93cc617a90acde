"""The stream of a recording: the very samples of the whole, in memory that its length does not change."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lect.engine.audio.reading import SAMPLE_RATE, each_stretch, load_audio, stream
from lect.engine.contract.errors import AudioError
from tests.engine.audio.test_reading import noise, tone, written


def check_whole(path: Path, blocks: int = 2) -> np.ndarray:
    """The stream of a file, which must be what `load_audio` gives."""
    found = list(stream(path))
    assert len(found) >= blocks and all(each.dtype == np.float32 for each in found)
    samples = np.concatenate(found)
    np.testing.assert_array_equal(samples, load_audio(path))
    return samples


@pytest.mark.parametrize(
    ("name", "rate", "channels", "subtype"),
    [
        ("a.wav", 44_100, 2, "PCM_16"),
        ("a.flac", 48_000, 1, "PCM_24"),
        ("a.mp3", 22_050, 1, None),
        ("loud.wav", 8_000, 2, "FLOAT"),
    ],
)
def test_a_stream_has_the_samples_of_the_whole(
    tmp_path: Path, name: str, rate: int, channels: int, subtype: str | None
) -> None:
    rng = np.random.default_rng(0)
    sound = rng.standard_normal((5 * rate, channels)) * (1 if subtype == "FLOAT" else 0.1)
    soundfile.write(tmp_path / name, sound, rate, subtype=subtype)
    assert np.abs(check_whole(tmp_path / name)).max() <= 1


def test_other_containers_stream_too(tmp_path: Path) -> None:
    check_whole(written(tmp_path / "a.webm", "libopus", "mono"))


def test_an_array_is_its_own_stream() -> None:
    samples = noise(10)
    np.testing.assert_array_equal(np.concatenate(list(stream(samples))), samples)


def test_a_stream_refuses_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("just text")
    for path in (tmp_path / "text.wav", tmp_path / "gone.wav", tmp_path):
        with pytest.raises(AudioError, match=path.name):
            list(stream(path))
    with pytest.raises(AudioError, match="not numbers"):
        list(stream(np.full(800, np.nan, np.float32)))


def test_what_is_whole_of_a_damaged_file_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    soundfile.write(path, noise(20), SAMPLE_RATE)
    whole = load_audio(path)
    path.write_bytes(path.read_bytes()[:-100_000])
    found = list[np.ndarray]()
    with pytest.raises(AudioError, match="damaged or cut short"):
        for block in stream(path):
            found.append(block)
    np.testing.assert_array_equal(np.concatenate(found), whole[: sum(map(len, found))])


def coded(path: Path, options: dict[str, str]) -> Path:
    """Ten seconds that swell, as an MP3 of varying bit rate."""
    av = pytest.importorskip("av")
    swelling = noise(10, 44_100) * np.linspace(0.01, 1, 441_000, dtype=np.float32)
    with av.open(str(path), "w", format="mp3", options=options) as container:
        made = container.add_stream("libmp3lame", rate=44_100, layout="stereo")
        made.codec_context.flags |= av.codec.context.Flags.qscale
        made.codec_context.global_quality = 6 * 118
        frame = av.AudioFrame.from_ndarray(np.stack([swelling] * 2), format="fltp", layout="stereo")
        frame.sample_rate = 44_100
        resampler = av.AudioResampler(format=made.format, layout="stereo", rate=44_100, frame_size=1_152)
        for planar in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(made.encode(planar))
        container.mux(made.encode(None))
    return path


def test_an_mp3_that_does_not_state_its_length_is_whole(tmp_path: Path) -> None:
    path = coded(tmp_path / "piped.mp3", {"write_xing": "0"})
    assert soundfile.info(path).duration < 8  # what libsndfile alone would read
    assert len(check_whole(path)) / SAMPLE_RATE == pytest.approx(10, abs=0.1)
    stretches = dict[int, np.ndarray]()
    each_stretch(path, [(9.0, 9.5)], stretches.__setitem__)
    np.testing.assert_array_equal(stretches[0], load_audio(path)[9 * SAMPLE_RATE : int(9.5 * SAMPLE_RATE)])


def test_an_mp3_with_another_behind_it_is_not_shortened(tmp_path: Path) -> None:
    once = coded(tmp_path / "once.mp3", {})
    assert len(check_whole(once)) == 10 * SAMPLE_RATE
    (tmp_path / "twice.mp3").write_bytes(2 * once.read_bytes())
    with pytest.raises(AudioError, match="damaged or cut short"):
        load_audio(tmp_path / "twice.mp3")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg to write what soundfile cannot")
def test_a_flac_from_a_pipe_is_whole(tmp_path: Path) -> None:
    pytest.importorskip("av")
    soundfile.write(tmp_path / "take.wav", tone(seconds=5), SAMPLE_RATE)
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "take.wav", "-f", "flac", "-"]
    (tmp_path / "piped").write_bytes(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    assert len(check_whole(tmp_path / "piped")) / SAMPLE_RATE == pytest.approx(5, abs=0.1)
