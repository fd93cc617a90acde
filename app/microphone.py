"""This computer's microphone as a stream that outlasts its device: what is unplugged is waited for.

PortAudio plays no part until it is asked for: a machine without it gets one sentence that says what to install.
"""

import contextlib
import queue
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lect.engine.audio.reading import SAMPLE_RATE, Samples
from lect.engine.contract.errors import AudioError

HELD_BLOCKS = 600  # a minute of sound that may wait to be read; what comes after is lost, and reported
STALLED_S = 2.0  # without a block: the device is gone
RETRY_S = 1.0
SILENCE_S = 1.0  # ends the phrase that was being spoken when the device went
NO_PORTAUDIO = (
    "This computer's sound library PortAudio is missing: install it (Debian, Ubuntu: apt install libportaudio2; "
    "macOS: brew install portaudio) and run pip install 'lect[listen]'."
)

Block = NDArray[np.float32]  # (frames,) at the device's rate


def portaudio() -> Any:
    """The library `sounddevice`. Raises AudioError without PortAudio."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise AudioError(NO_PORTAUDIO) from error
    return sounddevice


def devices() -> list[tuple[int, str]]:
    """(number, name) of every input. Raises AudioError without PortAudio."""
    library = portaudio()
    return [
        (int(device["index"]), f"{device['name']} ({library.query_hostapis(device['hostapi'])['name']})")
        for device in library.query_devices()
        if device["max_input_channels"] > 0
    ]


def blocks(device: int | str | None, tell: Callable[[str], None]) -> Iterator[Samples]:
    """Blocks of a tenth of a second, (samples,) at 16 kHz, until the reader stops.

    device: its number, a part of its name, or None for the system's. tell: gets a sentence when it listens, when
    sound is lost, when the device goes, and when it is back. Raises AudioError when it cannot be opened at first.
    """
    yield from _opened(device, tell, "Listening (Ctrl-C ends it).")
    while True:
        tell("The microphone is gone: waiting for it.")
        yield np.zeros(round(SILENCE_S * SAMPLE_RATE), np.float32)
        while True:
            time.sleep(RETRY_S)
            with contextlib.suppress(AudioError):
                _look_again()
                yield from _opened(device, tell, "The microphone is back.")
                break


def _opened(device: int | str | None, tell: Callable[[str], None], sentence: str) -> Iterator[Samples]:
    """Until the device goes."""
    import soxr

    held, lost = queue.Queue[Block](HELD_BLOCKS), 0

    def take(block: Block, frames: int, at: Any, status: Any) -> None:
        nonlocal lost
        try:
            held.put_nowait(block[:, 0].copy())
        except queue.Full:
            lost += frames

    stream, rate = _started(device, take)
    resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    try:
        tell(sentence)
        while True:
            try:
                yield resampler.resample_chunk(held.get(timeout=STALLED_S))
            except queue.Empty:
                return
            if lost:
                seconds, lost = lost / rate, 0
                tell(f"This computer is too slow: {seconds:.1f} s of sound were lost. Try --compute-type int8.")
    finally:
        stream.abort(ignore_errors=True)
        stream.close(ignore_errors=True)


def _started(device: int | str | None, take: Callable[[Block, int, Any, Any], None]) -> tuple[Any, int]:
    """The device's stream, which calls `take` with every block, and its rate. Raises AudioError."""
    library = portaudio()
    try:
        rate = int(library.query_devices(device, "input")["default_samplerate"])
        stream = library.InputStream(
            samplerate=rate, blocksize=rate // 10, device=device, channels=1, dtype="float32", callback=take
        )
        stream.start()
    except (library.PortAudioError, ValueError) as error:
        raise AudioError(f"The microphone cannot be used ({error}): see --list-microphones.") from error
    return stream, rate


def _look_again() -> None:
    """PortAudio lists devices once: what was plugged in since is only seen after a new start."""
    library = portaudio()
    library._terminate()
    library._initialize()
