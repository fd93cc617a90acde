"""Processes that decode with FFmpeg, so that no file can end the one that asks: kept, and started again after a crash.

Each decodes one file at a time; threads that decode at once have one each. It knows nothing about sound.
"""

import atexit
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..contract.errors import AudioError
from ..contract.subprocesses import module_command
from .containers import CONVERT

KEPT = 4  # that wait for the next file, 50 MB each

_idle: list["Decoder"] = []


class Decoder:
    """One process, and the file that it has open. Raises AudioError when it cannot be started."""

    def __init__(self) -> None:
        self.in_step = False  # whether every request was answered, to its end
        # Nothing of what FFmpeg, or the system about its end, says is for people.
        self._process = subprocess.Popen(
            module_command("lect.engine.audio.ffmpeg"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._answer()
        except (OSError, ValueError) as error:
            self.end()
            raise AudioError("FFmpeg does not start: run pip install --force-reinstall 'lect[video]'.") from error

    def open(self, path: Path, demuxer: str) -> dict[str, Any]:
        """What the file's header states: seconds, rate, channels, format. Raises AudioError."""
        self._name = path.name
        return self._ask({"open": str(path.absolute()), "demuxer": demuxer})[0]

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """The open file's sound: channels, and their float32 samples in turn. Raises AudioError."""
        while True:
            answer, data = self._ask({})
            if not data:
                return
            yield answer["channels"], data

    def close(self) -> None:
        """Lets go of the open file. Raises AudioError."""
        self._ask({"close": True})

    def end(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # a request may be left in it
                pipe.close()  # type: ignore[union-attr]

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self.in_step and self._process.poll() is None

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        assert self._process.stdin
        self.in_step = False
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            answer, data = self._answer()
        except (OSError, ValueError) as error:
            raise AudioError(f"{self._name} ended the process that decoded it: it is damaged, or {CONVERT}.") from error
        if "error" in answer:
            raise AudioError(answer["error"])
        return answer, data

    def _answer(self) -> tuple[dict[str, Any], bytes]:
        """Raises ValueError where there is none, or half of one."""
        assert self._process.stdout
        answer = json.loads(self._process.stdout.readline())
        data = self._process.stdout.read(answer["bytes"])
        if len(data) < answer["bytes"]:
            raise ValueError("half an answer")
        self.in_step = True
        return answer, data


@contextmanager
def decoder() -> Iterator[Decoder]:
    """One that nobody else uses. Raises AudioError."""
    found = _waiting() or Decoder()
    try:
        yield found
    finally:
        _give_back(found)


def _waiting() -> Decoder | None:
    while True:
        try:
            found = _idle.pop()  # at once, since other threads take theirs
        except IndexError:
            return None
        if found.is_alive:
            return found
        found.end()


def _give_back(used: Decoder) -> None:
    with suppress(AudioError):
        if used.in_step:
            used.close()
    if used.is_alive and len(_idle) < KEPT:
        _idle.append(used)
    else:
        used.end()


@atexit.register
def _end_all() -> None:
    while _idle:
        _idle.pop().end()


if hasattr(os, "register_at_fork"):  # two processes must not talk to one
    os.register_at_fork(after_in_child=_idle.clear)
