"""`lect listen`: a recording in its own time, a microphone that is unplugged and comes back, and none at all."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from lect.engine.audio.reading import load_audio
from lect.engine.contract.files import ASSETS
from tests import ROOT
from tests.app.conftest import Lect
from tests.virtual_sound import needs_sound_server, play, virtual_microphone

SPEECH = ASSETS / "sample" / "audio" / "Andrea-0008.ogg"
WAITING_S = 120
ENDED = ("final", "nothing")  # a random network may hear no words in a phrase


def test_a_recording_is_heard_in_its_own_time(lect: Lect, graphs: Path) -> None:
    started = time.monotonic()
    heard = lect("listen", "--pack", graphs, "--input", SPEECH, "--json")
    assert heard.code == 0 and time.monotonic() - started > 1.5
    events = [json.loads(line) for line in heard.out.splitlines()]
    assert [event["event"] for event in events][-2:] == ["partial", "final"]
    plain = lect("listen", "--pack", graphs, "--input", SPEECH)
    assert plain.out == f"{events[-1]['text']}\n" and events[-1]["text"]


def test_what_makes_no_sense_is_a_sentence(lect: Lect, graphs: Path) -> None:
    both = ("listen", "--pack", graphs, "--input", SPEECH, "--microphone", "0")
    assert lect(*both).failed_with("stands for the microphone", code=2)
    assert lect("listen", "--pack", graphs, "--input", "gone.wav").failed_with("gone.wav")
    assert lect("listen", "--pack", graphs, "--pack", graphs).failed_with("one pack", code=2)


def test_without_portaudio_a_sentence_says_what_to_install(
    lect: Lect, graphs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert lect("listen", "--pack", graphs).failed_with("PortAudio")
    assert lect("listen", "--list-microphones").failed_with("PortAudio")


@needs_sound_server
def test_a_microphone_that_is_unplugged_and_comes_back(graphs: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "talk.wav", load_audio(SPEECH), 16_000)
    command = [sys.executable, "-m", "lect", "listen", "--pack", str(graphs), "--json"]
    sound = tmp_path / "sound"
    with virtual_microphone(sound) as environment:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, text=True, **streams)  # type: ignore[call-overload]
        lines = map(json.loads, process.stdout)
        watch = threading.Timer(WAITING_S, process.kill)  # or a test that fails would wait for ever
        watch.start()
        wait_for(lines, lambda event: event["event"] == "remark" and "Listening" in event["text"])
        play(tmp_path / "talk.wav", environment)
        before = wait_for(lines, lambda event: event["event"] in ENDED)
    wait_for(lines, lambda event: event["event"] == "remark" and "gone" in event["text"])
    with virtual_microphone(sound) as environment:
        wait_for(lines, lambda event: event["event"] == "remark" and "back" in event["text"])
        play(tmp_path / "talk.wav", environment)
        after = wait_for(lines, lambda event: event["event"] in ENDED)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        watch.cancel()
    assert 0.5 < before["end"] - before["start"] < 4 and after["start"] > before["end"]


def wait_for(events: "map[dict[str, object]]", found: Callable[[dict[str, object]], bool]) -> dict[str, object]:
    """The first event that is meant; the test fails when there is none."""
    return next(event for event in events if found(event))
