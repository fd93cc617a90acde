"""Recordings of any length: the times of the original, nothing lost quietly, nothing invented, memory that stays."""

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.audio.writing import write_wav
from lect.engine.contract.errors import AudioError
from lect.engine.decoding.search import Hypothesis
from lect.engine.model.backbone import Backbone
from lect.engine.text.vocabulary import PAD
from lect.exports.pack import write_pack
from lect.exports.recognition import REACH_S, with_times
from lect.exports.runtime import Runtime
from lect.exports.segments import CutOptions
from lect.exports.transcriber import SpeechOptions
from lect.exports.transcript import Skipped, Transcript
from tests import ROOT
from tests.conftest import TINY, tones
from tests.exports.conftest import LETTERS, adaptation, contents

GATE = SpeechOptions(vad="energy", cut=CutOptions(vad_speech_pad_ms=200))
TEXTS = ("ba da", "go mi su", "la", "su la go mi", "da")


@pytest.fixture(scope="module")
def runtime(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """The tiny random backbone with a pack."""
    path = tmp_path_factory.mktemp("packs") / "one.lect"
    write_pack(path, contents(backbone, adaptation(TINY)))
    return Runtime.open(path, backbone.folder, device="cpu")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five times a second of tones, 4 s of faint noise before each."""
    rng = np.random.default_rng(0)
    noise = [0.002 * rng.standard_normal(4 * SAMPLE_RATE) for _ in TEXTS]
    parts = [part for pair in zip(noise, map(tones, TEXTS, [1.0] * 5), strict=True) for part in pair]
    path = tmp_path_factory.mktemp("long") / "five.wav"
    write_wav(path, np.concatenate(parts).astype(np.float32))
    return path


def covered(transcript: Transcript) -> list[tuple[float, float]]:
    """All stretches in order."""
    return sorted((each.start, each.end) for each in (*transcript.segments, *transcript.skipped))


def test_segments_lie_where_the_sound_is(runtime: Runtime, recording: Path) -> None:
    transcript = runtime.transcribe(recording, GATE)
    found = covered(transcript)
    assert found[0][0] == 0 and found[-1][1] == transcript.seconds == 25
    assert all(before[1] == after[0] for before, after in pairwise(found))
    pieces = [(start, end) for start, end in found if end - start < 2]
    assert len(pieces) == 5
    assert all(abs(start - 3.8 - 5 * n) < 0.1 and abs(end - 5 - 5 * n) < 0.3 for n, (start, end) in enumerate(pieces))


def test_a_segment_has_the_text_of_its_clip(runtime: Runtime, recording: Path) -> None:
    samples, _ = soundfile.read(recording, dtype="float32")
    transcript = runtime.transcribe(recording, GATE)
    assert transcript.segments and transcript.text == " ".join(segment.text for segment in transcript.segments)
    for segment in transcript.segments:
        clip = samples[round(segment.start * SAMPLE_RATE) : round(segment.end * SAMPLE_RATE)]
        assert runtime.transcribe_batch([clip])[0].text == segment.text
        assert " ".join(word.text for word in segment.words) == segment.text
        times = [time for word in segment.words for time in (word.start, word.end)]
        assert times == sorted(times) and segment.start <= times[0] and times[-1] <= segment.end + 1e-3
    assert transcript.words == tuple(word for segment in transcript.segments for word in segment.words)
    assert 0 < transcript.confidence <= 1 and (transcript.vad, transcript.word_times) == ("energy", "ctc")


def test_segments_come_one_by_one(runtime: Runtime, recording: Path) -> None:
    assert tuple(runtime.segments(recording, GATE)) == runtime.transcribe(recording, GATE).segments


def test_a_file_and_its_samples_give_the_same(runtime: Runtime, recording: Path) -> None:
    samples, _ = soundfile.read(recording, dtype="float32")
    alike = [replace(runtime.transcribe(source, GATE), real_time_factor=0) for source in (recording, samples)]
    assert alike[0] == alike[1]


@pytest.mark.parametrize("vad", ["silero", "energy"])
def test_silence_and_noise_say_nothing(runtime: Runtime, vad: str) -> None:
    rng = np.random.default_rng(0)
    for sound in (np.zeros(40 * SAMPLE_RATE), 0.1 * rng.standard_normal(40 * SAMPLE_RATE)):
        transcript = runtime.transcribe(sound.astype(np.float32), SpeechOptions(vad=vad))  # type: ignore[arg-type]
        assert transcript.text == "" and transcript.segments == () and transcript.confidence == 0
        assert transcript.skipped == (Skipped(0.0, 40.0, "no speech"),)


def test_speech_without_pauses_is_cut(runtime: Runtime) -> None:
    transcript = runtime.transcribe(tones("su la go mi" * 20, 50), SpeechOptions(vad="off"))
    assert len(covered(transcript)) >= 3 and all(end - start <= 20 for start, end in covered(transcript))


def test_a_recording_that_breaks_off_is_refused(runtime: Runtime, recording: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.wav").write_bytes(recording.read_bytes()[:-200_000])
    with pytest.raises(AudioError, match=r"cut\.wav is damaged or cut short"):
        runtime.transcribe(tmp_path / "cut.wav", GATE)


def test_words_are_where_the_ctc_head_finds_them() -> None:
    """Two words whose tokens are found in known frames of 40 ms."""
    tokens = LETTERS.encode("ba da")
    frames = np.full((50, len(LETTERS)), -9.0, np.float32)
    frames[:, PAD] = -0.1
    for token, frame in zip(tokens, (10, 14, 20, 30, 33), strict=True):
        frames[frame] = -9.0
        frames[frame, token] = -0.01
    recognised = with_times(LETTERS, Hypothesis(tuple(tokens), -1.0, (0.9, 0.8, 1.0, 0.7, 0.6)), frames, 0.04, 2.0)
    first, second = recognised.words
    assert (first.text, second.text) == ("ba", "da")
    assert (first.start, first.end) == pytest.approx((0.4 - REACH_S, 0.6 + REACH_S))
    assert (second.start, second.end) == pytest.approx((1.2 - REACH_S, 1.36 + REACH_S))
    assert (first.confidence, second.confidence) == pytest.approx((0.72, 0.42))
    assert not recognised.is_blank


def test_words_without_a_ctc_head_are_spread() -> None:
    recognised = with_times(LETTERS, Hypothesis(tuple(LETTERS.encode("ba da")), -1.0, (1.0,) * 5), None, 0.04, 5.0)
    assert [(round(word.start, 1), round(word.end, 1)) for word in recognised.words] == [(0.0, 2.0), (3.0, 5.0)]


def test_what_the_ctc_head_calls_blank_is_no_words(backbone: Backbone, tmp_path: Path) -> None:
    """A head that finds the blank a little likelier than any token, everywhere: the attention goes on inventing."""
    tensors = adaptation(TINY)
    tensors["vocabulary.ctc.weight"] *= 0
    tensors["vocabulary.ctc.bias"] *= 0
    tensors["vocabulary.ctc.bias"][PAD] = 0.1
    write_pack(tmp_path / "blank.lect", contents(backbone, tensors))
    runtime, sound = Runtime.open(tmp_path / "blank.lect", backbone.folder, device="cpu"), tones("ba da", 1.0)
    (recognised,) = runtime.recognise([sound])
    assert recognised.text and recognised.is_blank
    transcript = runtime.transcribe(sound, SpeechOptions(vad="off"))
    assert transcript.skipped == (Skipped(0.0, 1.0, "no words"),) and not any(transcript.segments)


MEMORY = """
import resource, sys
from lect.exports.runtime import Runtime
runtime = Runtime.open(sys.argv[1], device="cpu")
def peak(path):
    assert runtime.transcribe(path).seconds > 60
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(peak(sys.argv[2]), peak(sys.argv[3]))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(backbone: Backbone, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    minute = (800 * rng.standard_normal(60 * SAMPLE_RATE)).astype(np.int16)
    for name, minutes in (("short.flac", 2), ("long.flac", 60)):
        with soundfile.SoundFile(tmp_path / name, "w", SAMPLE_RATE, 1) as file:
            for _ in range(minutes):
                file.write(minute)
    command = [sys.executable, "-c", MEMORY, backbone.folder, tmp_path / "short.flac", tmp_path / "long.flac"]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=True)
    short, long = map(float, done.stdout.split())
    assert long - short < 30  # MB; an hour of samples would be 230
