"""Every file a person may bring: read whole, or refused in one sentence."""

import math
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from lect.engine.audio.reading import SAMPLE_RATE, each_stretch, from_array, load_audio, probe
from lect.engine.audio.sources import MAX_RATE
from lect.engine.audio.writing import write_wav
from lect.engine.contract.errors import AudioError
from tests import ROOT


def tone(rate: int = SAMPLE_RATE, seconds: float = 1.0, amplitude: float = 0.3) -> np.ndarray:
    """A 440 Hz sine, (samples,) float32."""
    return (amplitude * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def noise(seconds: float, rate: int = SAMPLE_RATE) -> np.ndarray:
    """Noise at -20 dBFS, which lossy coders cannot shrink to nothing: (samples,) float32."""
    return (0.1 * np.random.default_rng(0).standard_normal(int(seconds * rate))).astype(np.float32)


def refusal(path: Path) -> str:
    """The sentence with which `path` is refused."""
    with pytest.raises(AudioError) as caught:
        load_audio(path)
    sentence = str(caught.value)
    assert path.name in sentence and ": " in sentence and sentence.endswith(".") and "\n" not in sentence
    return sentence


def written(path: Path, *encode: str) -> Path:
    """A second of tone in a container that only PyAV writes and reads."""
    av = pytest.importorskip("av")
    codec, layout = encode
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48_000, layout=layout)
        channels = np.stack([tone(48_000)] * stream.codec_context.channels)
        frame = av.AudioFrame.from_ndarray(channels, format="fltp", layout=layout)
        frame.sample_rate = 48_000
        resampler = av.AudioResampler(
            format=stream.format, layout=layout, rate=48_000, frame_size=stream.frame_size or 960
        )
        for planar in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(planar))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        (".wav", "PCM_16", 1e-3),
        (".wav", "PCM_U8", 1e-2),
        (".wav", "PCM_24", 1e-3),
        (".wav", "PCM_32", 1e-3),
        (".wav", "FLOAT", 1e-3),
        (".wav", "DOUBLE", 1e-3),
        (".aiff", "PCM_16", 1e-3),
        (".flac", "PCM_24", 1e-3),
        (".ogg", "VORBIS", 5e-2),
        (".opus", "OPUS", 5e-2),
        (".mp3", "MPEG_LAYER_III", 5e-2),
    ],
)
def test_formats_become_mono_16_khz(tmp_path: Path, suffix: str, subtype: str, tolerance: float) -> None:
    path = tmp_path / f"take{suffix}"
    soundfile.write(path, np.stack([tone(48_000), tone(48_000)], axis=1), 48_000, subtype, format=_format(suffix))
    samples = load_audio(path)
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert abs(len(samples) - SAMPLE_RATE) <= 2
    inner = slice(1_000, 15_000)  # the ends of a tone that starts from nothing are the coder's business
    np.testing.assert_allclose(samples[inner], tone()[inner], atol=tolerance)
    info = probe(path)
    assert (info.rate, info.channels) == (48_000, 2) and info.seconds == pytest.approx(1, abs=0.01)
    assert info.format.split()[1] == subtype


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_every_rate_keeps_the_tone_in_place(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "take.wav", tone(rate, 2), rate, "PCM_24")
    samples = load_audio(tmp_path / "take.wav")
    assert len(samples) == 2 * SAMPLE_RATE
    np.testing.assert_allclose(samples[2_000:-2_000], tone(seconds=2)[2_000:-2_000], atol=1e-5)


def test_channels_are_averaged(tmp_path: Path) -> None:
    channels = np.stack([tone(amplitude=0.1 * k) for k in range(1, 9)], axis=1)
    soundfile.write(tmp_path / "eight.wav", channels, SAMPLE_RATE, "FLOAT")
    np.testing.assert_allclose(load_audio(tmp_path / "eight.wav"), channels.mean(axis=1), atol=1e-5)
    assert probe(tmp_path / "eight.wav").channels == 8


def test_blocks_do_not_show(tmp_path: Path) -> None:
    import soxr

    stereo = np.stack([noise(5, 44_100), noise(5, 44_100)[::-1]], axis=1)
    soundfile.write(tmp_path / "long.wav", stereo, 44_100, "FLOAT")
    whole = soxr.resample(stereo.mean(axis=1), 44_100, SAMPLE_RATE, quality="HQ")
    np.testing.assert_allclose(load_audio(tmp_path / "long.wav"), whole, atol=1e-6)


STRETCHES = [(3.0, 4.0), (0.0, 0.5), (3.5, 99.0), (0.25, 3.25), (4.9, math.inf), (7.0, 8.0), (1.0, 1.0001)]


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.m4a"])
def test_stretches_are_the_same_sound_as_the_whole(tmp_path: Path, name: str) -> None:
    if name == "a.m4a":
        path, bounds = written(tmp_path / name, "aac", "mono"), [(start / 5, end / 5) for start, end in STRETCHES]
    else:
        path, bounds = tmp_path / name, STRETCHES
        soundfile.write(path, np.stack([noise(5.3, 44_100)] * 2, axis=1), 44_100)
    found, whole = dict[int, np.ndarray](), load_audio(path)
    seconds = each_stretch(path, bounds, found.__setitem__)
    assert seconds == pytest.approx(len(whole) / SAMPLE_RATE)
    assert set(found) == set(range(7)) - {5}  # that one begins after the end
    for index, samples in found.items():
        start, end = round(bounds[index][0] * SAMPLE_RATE), bounds[index][1] * SAMPLE_RATE
        stop = None if math.isinf(end) else max(start + 1, round(end))
        np.testing.assert_array_equal(samples, whole[start:stop])


def test_memory_for_stretches_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.flac", np.tile(noise(60), 20), SAMPLE_RATE)  # 77 MB as samples
    lengths = dict[int, int]()
    tracemalloc.start()
    each_stretch(tmp_path / "long.flac", [(600.0, 605.0), (1190.0, 1195.0)], lambda n, x: lengths.update({n: len(x)}))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lengths == {0: 5 * SAMPLE_RATE, 1: 5 * SAMPLE_RATE} and peak < 5_000_000


def test_float_recordings_keep_their_headroom(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "hot.wav", tone(amplitude=2.5), SAMPLE_RATE, "FLOAT")
    samples = load_audio(tmp_path / "hot.wav")
    np.testing.assert_allclose(samples, tone(amplitude=1.0), atol=1e-4)
    assert np.abs(samples).max() <= 1


def test_overshoot_of_resampling_is_limited(tmp_path: Path) -> None:
    square = np.sign(tone(44_100)).astype(np.float32)
    soundfile.write(tmp_path / "square.wav", square, 44_100, "PCM_16")
    samples = load_audio(tmp_path / "square.wav")
    assert np.abs(samples).max() == 1 and np.median(np.abs(samples)) > 0.9


def test_a_very_short_recording_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", tone(seconds=0.05), SAMPLE_RATE)
    assert len(load_audio(tmp_path / "short.wav")) == 800


@pytest.mark.parametrize(
    ("name", "codec", "layout"),
    [("a.m4a", "aac", "mono"), ("a.webm", "libopus", "stereo"), ("a.mts", "ac3", "stereo"), ("a.mpg", "mp2", "stereo"),
     ("a.aac", "aac", "mono"), ("a.mka", "aac", "mono"), ("a.mov", "aac", "mono")],
)  # fmt: skip
def test_other_containers_through_pyav(tmp_path: Path, name: str, codec: str, layout: str) -> None:
    path = written(tmp_path / name, codec, layout)
    info, samples = probe(path), load_audio(path)
    assert info.rate == 48_000 and info.seconds == pytest.approx(1, abs=0.1)
    assert len(samples) == pytest.approx(SAMPLE_RATE, abs=0.1 * SAMPLE_RATE) and samples.dtype == np.float32
    assert samples[2_000:14_000].std() == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


def test_other_containers_name_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x1cftypM4A " + bytes(500))
    assert "pip install 'lect[video]'" in refusal(tmp_path / "a.m4a")


def test_a_damaged_container_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("av")
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x1cftypM4A " + bytes(500))
    assert "damaged or cut short" in refusal(tmp_path / "a.m4a")
    (tmp_path / "a.webm").write_bytes(b"\x1a\x45\xdf\xa3" + bytes(500))
    assert "damaged or cut short" in refusal(tmp_path / "a.webm")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.wav", b"", "empty"),
        ("text.wav", b"This is the label of the recording.\n" * 20, "text"),
        ("utf16.wav", "ɛ̃ndɔ́ bá̱tu ".encode("utf-16") * 40, "text"),
        ("page.mp3", b"<!DOCTYPE html><html><body>Please log in</body></html>" * 9, "text"),
        ("list.wav", b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/x.ts\n", "text"),
        ("random.wav", np.random.default_rng(0).bytes(5_000), "not sound"),
        ("samples.raw", bytes(5_000), "raw samples"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert reason in refusal(tmp_path / name)


def test_paths_that_are_no_recording(tmp_path: Path) -> None:
    assert "cannot be opened" in refusal(tmp_path / "absent.wav")
    (tmp_path / "folder.wav").mkdir()
    assert "is a folder" in refusal(tmp_path / "folder.wav")


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".flac", ".ogg", ".opus", ".mp3"])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut{suffix}"
    soundfile.write(path, noise(3), SAMPLE_RATE, format=_format(suffix), subtype="OPUS" if suffix == ".opus" else None)
    assert len(load_audio(path)) == 3 * SAMPLE_RATE
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    assert "damaged or cut short" in refusal(path)


def test_a_flipped_byte_in_flac_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "flipped.flac"
    soundfile.write(path, noise(2), SAMPLE_RATE)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert "damaged" in refusal(path)


def test_a_wav_from_a_pipe_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "pipe.wav"
    soundfile.write(path, noise(1), SAMPLE_RATE, "PCM_16")
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"  # what a writer puts that cannot go back to fill the sizes in
    path.write_bytes(data)
    assert len(load_audio(path)) == SAMPLE_RATE


def test_an_mp3_with_tags_behind_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "tagged.mp3"
    soundfile.write(path, noise(1), SAMPLE_RATE)
    path.write_bytes(path.read_bytes() + b"APETAGEX" + bytes(9_000) + b"TAG" + bytes(125))
    assert len(load_audio(path)) == SAMPLE_RATE


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(tmp_path: Path, bad: float) -> None:
    samples = tone()
    samples[5_000] = bad
    soundfile.write(tmp_path / "bad.wav", samples, SAMPLE_RATE, "FLOAT")
    assert "NaN" in refusal(tmp_path / "bad.wav")
    with pytest.raises(AudioError, match="NaN"):
        from_array(SAMPLE_RATE, samples)


def test_no_samples(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "none.wav", np.zeros(0, np.float32), SAMPLE_RATE)
    assert "no sound" in refusal(tmp_path / "none.wav")
    assert probe(tmp_path / "none.wav").seconds == 0
    for nothing in (np.zeros(0, np.int16), np.zeros((0, 2), np.int16), np.zeros((5, 0), np.int16)):
        with pytest.raises(AudioError, match="no sound"):
            from_array(SAMPLE_RATE, nothing)


def test_a_hostile_rate_cannot_multiply_memory(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "slow.wav", tone(), 1)
    assert "samples a second" in refusal(tmp_path / "slow.wav")
    for rate in (0, -16_000, MAX_RATE + 1):
        with pytest.raises(AudioError, match="samples a second"):
            from_array(rate, tone())


def test_recorder_arrays() -> None:
    expected = tone()
    as_int16 = np.rint(tone(48_000) * 32_768).astype(np.int16)
    for samples in (as_int16, np.stack([as_int16, as_int16], 1), as_int16.astype(np.int32) << 16, tone(48_000)):
        result = from_array(48_000, samples)
        assert result.dtype == np.float32 and result.shape == (SAMPLE_RATE,)
        np.testing.assert_allclose(result[500:-500], expected[500:-500], atol=1e-4)
    for wrong in (np.zeros(9, np.uint8), np.zeros(9, np.int64), np.zeros(9, complex), np.zeros((1, 1, 9), np.int16)):
        with pytest.raises(AudioError, match="record 16-bit"):
            from_array(SAMPLE_RATE, wrong)


def test_full_scale_integers_fit() -> None:
    samples = from_array(SAMPLE_RATE, np.array([-32_768, 32_767] * 50, np.int16))
    assert samples.min() == -1 and samples.max() < 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=300))
def test_written_samples_come_back_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, pcm: list[int]) -> None:
    path = tmp_path_factory.mktemp("wav") / "take.wav"
    samples = np.array(pcm, np.float32) / 32_768
    write_wav(path, samples)
    np.testing.assert_array_equal(load_audio(path), samples)
    assert soundfile.info(path).subtype == "PCM_16"


def test_writing_is_atomic(tmp_path: Path) -> None:
    path = tmp_path / "new" / "take.wav"
    write_wav(path, tone(amplitude=1.5))  # past full scale: limited, not wrapped
    assert [p.name for p in path.parent.iterdir()] == ["take.wav"]
    assert load_audio(path).max() == pytest.approx(1, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"RIFF\x24\0\0\0WAVEfmt ", b"fLaC", b"OggS", b"ID3\x04", b"\xff\xfb"]),
)
def test_no_bytes_do_worse_than_a_refusal(tmp_path_factory: pytest.TempPathFactory, data: bytes, magic: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "take.wav"
    path.write_bytes(magic + data)
    try:
        assert np.isfinite(load_audio(path)).all()
    except AudioError as error:
        assert str(error).endswith(".")


def test_probing_two_hours_reads_the_header_only(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, tone(), SAMPLE_RATE, "PCM_16")
    data_bytes = 2 * 7_200 * SAMPLE_RATE
    with path.open("r+b") as file:  # a sparse file: two hours of zeros that take no room
        for place, size in ((4, 36 + data_bytes), (40, data_bytes)):
            file.seek(place)
            file.write(size.to_bytes(4, "little"))
        file.truncate(44 + data_bytes)
    start = time.perf_counter()
    assert probe(path).seconds == 7_200
    assert time.perf_counter() - start < 0.2


def test_loading_never_holds_the_original_whole(tmp_path: Path) -> None:
    with soundfile.SoundFile(tmp_path / "long.flac", "w", 48_000, 2, "PCM_16") as file:
        for _ in range(10):
            file.write(np.zeros((30 * 48_000, 2), np.int16))
    tracemalloc.start()
    samples = load_audio(tmp_path / "long.flac")
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(samples) == 300 * SAMPLE_RATE
    assert peak_bytes < 1.5 * samples.nbytes  # decoded at once it would be six times


def test_the_runtime_part_imports_nothing_heavy() -> None:
    code = (
        "import sys, lect.engine.audio.reading, lect.engine.audio.quality; "
        "import lect.engine.text.rules, lect.engine.text.vocabulary; "
        "print(sorted({'torch', 'tokenizers', 'jiwer', 'sqlite_utils', 'av', 'gradio'} & sys.modules.keys()))"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def _format(suffix: str) -> str:
    return {".opus": "OGG", ".aiff": "AIFF"}.get(suffix, suffix[1:].upper())
