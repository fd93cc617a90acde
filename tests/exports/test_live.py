"""Speech as it is spoken: phrases end where recordings are cut, texts settle, and nothing piles up."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from lect.engine.audio.reading import SAMPLE_RATE, load_audio
from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import ASSETS
from lect.engine.model.backbone import Backbone
from lect.exports.live import LIVE_CUT, Event, Partial, live
from lect.exports.pack import write_pack
from lect.exports.runtime import Runtime
from lect.exports.transcriber import SpeechOptions
from lect.exports.transcript import Segment
from tests import ROOT
from tests.conftest import TINY
from tests.exports.conftest import adaptation, contents

SPEECH = ASSETS / "sample" / "audio" / "Andrea-0008.ogg"


@pytest.fixture(scope="module")
def runtime(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """The tiny random backbone with a pack."""
    path = tmp_path_factory.mktemp("packs") / "one.lect"
    write_pack(path, contents(backbone, adaptation(TINY)))
    return Runtime.open(path, backbone.folder, device="cpu")


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    """(samples,) one phrase three times, with pauses, and noise at the end."""
    silence = np.zeros(2 * SAMPLE_RATE, np.float32)
    noise = (0.02 * np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE)).astype(np.float32)
    return np.concatenate([silence, *[load_audio(SPEECH), silence] * 3, noise])


def portions(samples: np.ndarray, size: int) -> Iterator[np.ndarray]:
    return (samples[start : start + size] for start in range(0, len(samples), size))


def finals(events: list[Event]) -> list[Segment]:
    return [event for event in events if isinstance(event, Segment)]


def test_phrases_are_those_of_a_recording(runtime: Runtime, spoken: np.ndarray) -> None:
    expected = list(runtime.segments(spoken, SpeechOptions(cut=LIVE_CUT)))
    assert len(expected) == 3
    for size in (160, 1_600, 4_801, len(spoken)):
        events = finals(list(live(runtime, portions(spoken, size))))
        assert [(each.start, each.end, each.text) for each in events] == [(s.start, s.end, s.text) for s in expected]


def test_texts_settle_while_a_phrase_goes_on(runtime: Runtime, spoken: np.ndarray) -> None:
    events = list(live(runtime, portions(spoken, 1_600)))
    partials = [event for event in events if isinstance(event, Partial)]
    assert len(partials) >= 6 and all(each.settled or each.open for each in partials)
    for before, after in pairwise(events):
        assert after.start >= before.start
        if isinstance(before, Partial) and isinstance(after, Partial) and before.start == after.start:
            assert after.end - before.end >= 0.49 and f"{after.settled} ".startswith(before.settled)


def test_a_phrase_ends_half_a_second_after_its_last_sound(runtime: Runtime, spoken: np.ndarray) -> None:
    given = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal given
        for block in portions(spoken, 160):
            given += len(block)
            yield block

    lags = [given / SAMPLE_RATE - event.end for event in live(runtime, counted()) if isinstance(event, Segment)]
    assert len(lags) == 3 and all(0.2 < lag < 0.5 for lag in lags)  # a segment ends 0.2 s after its sound


def test_speech_without_a_pause_is_given_in_parts(runtime: Runtime) -> None:
    sound = np.tile(load_audio(SPEECH)[4_000:20_000], 40)
    options = SpeechOptions("off", LIVE_CUT)
    events = [event for event in live(runtime, portions(sound, 1_600), options) if not isinstance(event, Partial)]
    assert len(events) >= 3 and all(each.end - each.start <= 15 for each in events)
    assert events[-1].end == 40 and all(before.end == after.start for before, after in pairwise(events))


def test_silence_and_noise_give_nothing(runtime: Runtime, spoken: np.ndarray) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(20 * SAMPLE_RATE).astype(np.float32)
    for sound in (np.zeros(20 * SAMPLE_RATE, np.float32), noise):
        assert list(live(runtime, portions(sound, 1_600))) == []


def test_what_looks_ahead_cannot_follow(runtime: Runtime) -> None:
    with pytest.raises(UsageError, match="energy"):
        list(live(runtime, [], SpeechOptions("energy")))


MEMORY = """
import resource, sys
import numpy as np
from lect.engine.audio.reading import load_audio
from lect.exports.live import Partial, live
from lect.exports.runtime import Runtime
runtime, speech = Runtime.open(sys.argv[1], device="cpu"), load_audio(__import__("pathlib").Path(sys.argv[2]))
minutes, phrases, peaks = float(sys.argv[3]), 0, []
def blocks():
    given = 0
    while given < minutes * 60 * 16000:
        for part in (speech, np.zeros(16000, np.float32)):
            for start in range(0, len(part), 1600):
                yield part[start : start + 1600]
            given += len(part)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
for event in live(runtime, blocks()):
    phrases += not isinstance(event, Partial)
print(phrases, peaks[len(peaks) // 10], peaks[-1])
"""


@pytest.mark.slow
def test_an_hour_keeps_nothing(backbone: Backbone) -> None:
    command = [sys.executable, "-c", MEMORY, str(backbone.folder), str(SPEECH), "60"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    phrases, early, late = map(float, done.stdout.split())
    assert phrases > 1_000 and late - early < 10  # MB; an hour of samples would be 230
