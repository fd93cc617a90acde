"""What makes FFmpeg crash, or PyAV stumble, is a sentence about that file; the next one is read as ever."""

import contextlib
import os
import random
import signal
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lect.engine.audio.reading import SAMPLE_RATE, load_audio, notes, probe, stream
from lect.engine.contract.errors import AudioError
from tests.engine.audio.test_reading import refusal, tone, written

av = pytest.importorskip("av")
MUTANTS = 60


def surround(path: Path, codec: str, layout: str) -> Path:
    """A second of tone in every channel. Interleaved: PyAV's planes end at the eighth."""
    with av.open(str(path), "w") as container:
        out = container.add_stream(codec, rate=48_000, layout=layout)
        channels = out.codec_context.layout.nb_channels
        samples = np.repeat(tone(48_000), channels).reshape(1, -1)
        for start in range(0, samples.size, 960 * channels):
            part = np.ascontiguousarray(samples[:, start : start + 960 * channels])
            frame = av.AudioFrame.from_ndarray(part, format="flt", layout=layout)
            frame.sample_rate, frame.pts = 48_000, start // channels
            container.mux(out.encode(frame))
        container.mux(out.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "layout", "channels"),
    [
        ("a.m4a", "aac", "7.1", 8), ("a.webm", "libopus", "7.1", 8), ("a.mkv", "flac", "7.1", 8),
        ("a.mka", "pcm_s16le", "octagonal", 8), ("b.mka", "pcm_s16le", "hexadecagonal", 16),
    ],
)  # fmt: skip
def test_eight_channels_and_more(tmp_path: Path, name: str, codec: str, layout: str, channels: int) -> None:
    path = surround(tmp_path / name, codec, layout)
    assert probe(path).channels == channels
    samples = load_audio(path)
    expected = tone()[2_000:14_000]
    found = samples[2_000:14_000]
    assert abs(len(samples) - SAMPLE_RATE) < 2_000
    assert np.abs(np.fft.rfft(found)).argmax() == np.abs(np.fft.rfft(expected)).argmax()
    assert 0.8 < np.std(found) / np.std(expected) < 1.1  # lossy codecs keep little of the channel for effects


def test_a_title_in_latin_1(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    whole = written(path, "aac", "mono").read_bytes()
    with av.open(str(path)) as source, av.open(str(tmp_path / "b.m4a"), "w") as copy:
        copy.metadata["title"] = "Xbungsstunde"
        out = copy.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = out
                copy.mux(packet)
    data = (tmp_path / "b.m4a").read_bytes()
    assert b"Xbungsstunde" in data and b"Xbungsstunde" not in whole
    (tmp_path / "b.m4a").write_bytes(data.replace(b"Xbungsstunde", "Übungsstunde".encode("latin-1")))
    np.testing.assert_array_equal(load_audio(tmp_path / "b.m4a"), load_audio(path))


def test_a_coding_that_nobody_knows(tmp_path: Path) -> None:
    path, form = tmp_path / "a.wav", struct.pack("<HHIIHH", 0xABCD, 1, 16_000, 32_000, 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", 32_000) + bytes(32_000)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert "in a coding that FFmpeg does not know" in refusal(path)


def test_mutants_end_nothing(tmp_path: Path) -> None:
    good = written(tmp_path / "good.m4a", "aac", "stereo")
    expected, chance = load_audio(good), random.Random(0)
    for name, codec in (("a.m4a", "aac"), ("a.webm", "libopus")):
        whole = written(tmp_path / name, codec, "stereo").read_bytes()
        for _ in range(MUTANTS // 2):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 8)):
                data[chance.randrange(min(len(data), 2_000))] = chance.randrange(256)
            (tmp_path / name).write_bytes(data)
            try:
                load_audio(tmp_path / name)
                notes(tmp_path / name)
            except AudioError as error:
                assert name in str(error), error
    np.testing.assert_array_equal(load_audio(good), expected)


def children() -> set[int]:
    """Processes that this one started and that run."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs Linux's list of a process's children")
    tasks = Path(f"/proc/{os.getpid()}/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}


def end_children(how: signal.Signals) -> None:
    for pid in children():
        os.kill(pid, how)
        with contextlib.suppress(FileNotFoundError):  # another thread has waited for it already
            while Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z":
                time.sleep(0.01)


def test_a_decoder_that_ends_in_the_middle(tmp_path: Path) -> None:
    path = written(tmp_path / "a.m4a", "aac", "mono")
    long = tmp_path / "long.m4a"
    with av.open(str(long), "w") as container:
        out = container.add_stream("aac", rate=16_000, layout="mono")
        for start in range(0, 60 * SAMPLE_RATE, 1_024):
            frame = av.AudioFrame.from_ndarray(tone(seconds=1)[None, :1_024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            container.mux(out.encode(frame))
        container.mux(out.encode(None))
    blocks = stream(long)
    next(blocks)
    end_children(signal.SIGSEGV)
    with pytest.raises(AudioError, match=r"^long\.m4a ended the process that decoded it: .*\.$"):
        list(blocks)
    assert len(load_audio(long)) > 59 * SAMPLE_RATE
    end_children(signal.SIGKILL)  # while it waits, which is no file's fault
    assert len(load_audio(path)) > 15_000


def test_what_is_left_in_the_middle_is_let_go_and_its_decoder_used_again(tmp_path: Path) -> None:
    path = written(tmp_path / "a.m4a", "aac", "stereo")
    load_audio(path)
    before = children()
    for _ in range(5):
        blocks = stream(path)
        next(blocks)
        blocks.close()
        opened = [os.readlink(link) for pid in before for link in Path(f"/proc/{pid}/fd").iterdir()]
        assert str(path) not in opened
    assert children() == before


def test_threads_that_decode_at_once(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{number}.m4a", "aac", "stereo") for number in range(6)]
    expected = load_audio(paths[0])
    with ThreadPoolExecutor(6) as pool:
        for samples in pool.map(load_audio, paths * 3):
            np.testing.assert_array_equal(samples, expected)
