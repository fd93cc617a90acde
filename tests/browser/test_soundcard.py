"""Recording with this computer's own sound device: a virtual one that really runs in time, and none at all."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.audio import load_audio
from engine.quality import measure
from engine.store import Project
from tests.browser.conftest import Window, fill, go, start_server

pytestmark = pytest.mark.browser
TOOLS = ("pulseaudio", "paplay", "pactl")
MODULES = (
    "module-null-sink sink_name=cable rate=48000 channels=1",
    "module-remap-source master=cable.monitor source_name=microphone",
)
STARTING_S = 60


def ready(page, sentence: str) -> None:  # type: ignore[no-untyped-def]
    """In front of a sentence, with the sound device chosen."""
    go(page, "Record")
    fill(page, "typed", sentence)
    page.locator("#add-sentences").click()
    page.locator("#prompt", has_text="Sentence 1 of 1").wait_for()
    page.locator("#source label", has_text="sound device").click()


@contextmanager
def virtual_microphone(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of programs for which a sound server of their own has one microphone: what `paplay` plays."""
    folder.mkdir(mode=0o700)
    (folder / ".asoundrc").write_text("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
    variables = {"HOME": folder, "XDG_RUNTIME_DIR": folder, "PULSE_RUNTIME_PATH": folder}
    environment = {name: str(value) for name, value in variables.items()} | {"PULSE_SERVER": f"unix:{folder}/native"}
    modules = [f"module-native-protocol-unix socket={folder}/native auth-anonymous=1", *MODULES]
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
    command += [part for module in modules for part in ("-L", module)]
    running = subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.DEVNULL)
    try:
        wait_for_sources(os.environ | environment)
        yield environment
    finally:
        running.terminate()
        running.wait(120)


def wait_for_sources(environment: dict[str, str]) -> None:
    """Until the sound server lists its microphone."""
    deadline = time.monotonic() + STARTING_S
    command = ["pactl", "list", "short", "sources"]
    while "microphone" not in subprocess.run(command, env=environment, capture_output=True, text=True).stdout:
        assert time.monotonic() < deadline, "the sound server does not start"
        time.sleep(0.2)


@pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="no PulseAudio: apt-get install pulseaudio-utils")
def test_a_take_of_the_sound_device(
    window: Window, project: Project, home: Path, microphone: Path, tmp_path: Path
) -> None:
    with virtual_microphone(tmp_path / "sound") as environment:
        server = start_server(home, **environment)
        try:
            page = window(server.url)
            ready(page, "ba da go")
            page.locator("#card-start:not([disabled])").click()
            page.locator("#card-level .meter").wait_for()
            command = ["paplay", "--device=cable", str(microphone)]
            subprocess.run(command, env=os.environ | environment, check=True, timeout=120)
            page.locator("#card-stop").click()
            page.locator("#verdict .notice").wait_for()
            page.locator("#keep:not([disabled])").click()
            page.locator("#header", has_text="13 clips").wait_for()
        finally:
            server.stop()
    kept = load_audio(project.clips()[-1].path)
    assert len(kept) > 16_000 and measure(kept).speech_dbfs > -40


def test_without_portaudio_a_sentence_says_what_to_install(
    window: Window, project: Project, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "sounddevice.py").write_text('raise OSError("PortAudio library not found")\n')
    server = start_server(home, PYTHONPATH=str(tmp_path))
    try:
        page = window(server.url)
        ready(page, "ba da go")
        page.get_by_text("PortAudio is missing").wait_for()
        assert page.locator("#card-start").is_disabled()
    finally:
        server.stop()
