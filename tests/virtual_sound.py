"""A sound server of a test's own, with one microphone: what `paplay` plays. It really runs in time."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from pathlib import Path

import pytest

TOOLS = ("pulseaudio", "paplay", "pactl")
MODULES = (
    "module-null-sink sink_name=cable rate=48000 channels=1",
    "module-remap-source master=cable.monitor source_name=microphone",
)
STARTING_S = 60
PACKAGES = "pulseaudio pulseaudio-utils libasound2-plugins libportaudio2"

needs_sound_server = pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)) or find_library("portaudio") is None,
    reason=f"needs PulseAudio and PortAudio (apt-get install {PACKAGES})",
)


@contextmanager
def virtual_microphone(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of programs for which the microphone is there; it goes with the context, and may come back."""
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / ".asoundrc").write_text("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
    variables = {"HOME": folder, "XDG_RUNTIME_DIR": folder, "PULSE_RUNTIME_PATH": folder}
    environment = {name: str(value) for name, value in variables.items()} | {"PULSE_SERVER": f"unix:{folder}/native"}
    modules = [f"module-native-protocol-unix socket={folder}/native auth-anonymous=1", *MODULES]
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
    command += [part for module in modules for part in ("-L", module)]
    running = subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.DEVNULL)
    try:
        _wait_for_sources(os.environ | environment)
        yield environment
    finally:
        running.terminate()
        running.wait(120)


def play(path: Path, environment: dict[str, str]) -> None:
    """Into the microphone, to its end."""
    subprocess.run(["paplay", "--device=cable", str(path)], env=os.environ | environment, check=True, timeout=120)


def _wait_for_sources(environment: dict[str, str]) -> None:
    deadline = time.monotonic() + STARTING_S
    command = ["pactl", "list", "short", "sources"]
    while "microphone" not in subprocess.run(command, env=environment, capture_output=True, text=True).stdout:
        assert time.monotonic() < deadline, "the sound server does not start"
        time.sleep(0.2)
