"""Recording with this computer's own sound device, without the browser's permission or processing."""

import threading
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from lect.engine.audio.reading import from_array
from lect.engine.audio.writing import write_wav
from lect.engine.contract.errors import AudioError, UsageError

from ..microphone import devices, portaudio
from .events import bind, html_block
from .markup import meter, notice
from .shared import Page
from .texts import label, words_for

RATE = 48_000  # Hz, what nearly every device offers; the engine makes 16 kHz of it
MAX_SECONDS = 60
POLL_S = 0.25
QUIETEST_DB = 60.0  # the left end of the level meter, below full scale
NO_DEVICE = "This computer has no microphone that it can use: plug one in, or record with the browser."


class Recording:
    """A recording that goes on until `stop`; there is one sound card, so there is one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: list[NDArray[np.int16]] = []
        self._stream: Any = None
        self.level_dbfs = -100.0

    @property
    def running(self) -> bool:
        """Whether it records."""
        return self._stream is not None

    def start(self, device: int | None) -> None:
        """Starts. Raises AudioError when the device refuses."""
        library = portaudio()
        with self._lock:
            if self._stream is not None:
                raise AudioError("A recording is going on already: stop it first.")
            self._blocks = []
            try:
                stream = library.InputStream(
                    samplerate=RATE, device=device, channels=1, dtype="int16", callback=self._take
                )
                stream.start()
            except library.PortAudioError as error:
                raise AudioError(f"The device does not record ({error}): choose another one.") from error
            self._stream = stream

    def stop(self) -> NDArray[np.float32]:
        """(samples,) at 16 kHz of what was recorded. Raises AudioError when nothing was."""
        with self._lock:
            if self._stream is None:
                raise AudioError("Nothing is being recorded: start first.")
            self._stream.stop()
            self._stream.close()
            self._stream = None
        samples = np.concatenate(self._blocks) if self._blocks else np.zeros(0, np.int16)
        return from_array(RATE, samples)

    def _take(self, block: NDArray[np.int16], frames: int, time: Any, status: Any) -> None:
        if sum(map(len, self._blocks)) < MAX_SECONDS * RATE:
            self._blocks.append(block[:, 0].copy())
        power = float(np.mean((block / 32768.0) ** 2))
        self.level_dbfs = 10 * np.log10(max(power, 1e-10))


@dataclass(frozen=True)
class Parts:
    """What the step that records shows and listens to."""

    column: gr.Column
    problem: gr.HTML  # why there is no device
    list: gr.Dropdown
    start: gr.Button
    stop: gr.Button
    take: gr.State  # the path of the latest take
    recording: Recording


def build(page: Page) -> Parts:
    """The recorder of this computer's own sound device, hidden at first."""
    recording, take = Recording(), gr.State("")
    ours = gr.State(False)  # whether this window's recording goes on
    with gr.Column(visible=False) as column:
        problem = html_block()
        device = gr.Dropdown([], label=label("soundcard_device"), elem_id="sound-device")
        with gr.Row():
            start = gr.Button(label("record_start"), elem_id="card-start", interactive=False)
            stop = gr.Button(label("record_stop"), elem_id="card-stop", interactive=False)
        level = html_block(elem_id="card-level")
        clock = gr.Timer(POLL_S, active=False)

    def begin(number: int | None) -> tuple[Any, ...]:
        if not page.local:  # the button is hidden, but a request needs no button
            raise UsageError("This computer's microphone is not for visitors: record with the browser.")
        recording.start(number)
        return gr.Button(interactive=False), gr.Button(interactive=True), gr.Timer(active=True), True

    def show_level(request: gr.Request) -> str:
        level_db = max(recording.level_dbfs, -QUIETEST_DB)
        return meter(1 + level_db / QUIETEST_DB, words_for(request)("soundcard_level", level=f"{level_db:.0f}"))

    def end() -> tuple[Any, ...]:
        samples = recording.stop()
        path = page.scratch.take("take.wav")
        write_wav(path, samples)
        return gr.Button(interactive=True), gr.Button(interactive=False), gr.Timer(active=False), "", str(path), False

    def left(going: bool) -> tuple[Any, ...]:
        return end() if going and recording.running else tuple(gr.skip() for _ in ended)

    ended = [start, stop, clock, level, take, ours]
    bind(start.click, begin, [device], [start, stop, clock, ours])
    bind(clock.tick, show_level, [], [level])
    bind(stop.click, end, [], ended)
    bind(page.tabs.select, left, [ours], ended)  # nothing is recorded unseen
    return Parts(column, problem, device, start, stop, take, recording)


def find(recording: Recording) -> tuple[Any, ...]:
    """(problem, list, start, stop): the devices there are, or one sentence why there are none."""
    try:
        found = [(name, number) for number, name in devices()]
        problem = "" if found else NO_DEVICE
    except AudioError as error:
        found, problem = [], str(error)
    first = found[0][1] if found else None
    return (
        notice(problem, "warn"),
        gr.Dropdown(found, value=first, visible=bool(found)),
        gr.Button(interactive=bool(found) and not recording.running),
        gr.Button(interactive=recording.running),  # by a window that was closed: else it could not be ended
    )
