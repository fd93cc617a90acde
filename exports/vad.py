"""Voice activity: how likely each 32 ms of a stream is speech.

By Silero's network, whose ONNX file ships in `assets/`; or by an energy gate, which tells speech from a steady
background but not from other sounds that come and go. It does not know where to cut.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lect.engine.audio.quality import (
    NOISE_PERCENTILE,
    SILENT_DBFS,
    SPEECH_ABOVE_NOISE_DB,
    SPEECH_RANGE_DB,
    STEADY_DB,
)
from lect.engine.audio.reading import Samples
from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import ASSETS

from .onnx_sessions import open_session
from .segments import FRAME_S, FRAME_SAMPLES, Likely, levels

Method = Literal["silero", "energy", "off"]
METHODS: tuple[Method, ...] = ("silero", "energy", "off")

SILERO = ASSETS / "silero" / "silero_vad_16k_sequence.onnx"
SILERO_CONTEXT = 64  # samples that the network sees before each frame
SILERO_STATE = (1, 1, 128)

# The energy gate. Its limits in dB are those of a take's quality, tried on thousands of clips.
WINDOW_FRAMES = round(30 / FRAME_S)  # the background is judged over this much, and as much before
LOUD_FRAMES = 6  # 0.2 s, so that a click is not taken for the loudest speech
SLOPE_DB = 2.0  # how far above its limit a level must be for a likelihood of 0.73


class Detector(Protocol):
    """Detects speech."""

    name: str

    def windows(self, blocks: Iterable[Samples]) -> Iterator[tuple[Samples, Likely]]:
        """(samples,) in any portions -> (samples,) and the likelihood of each of its frames, in order."""


def detector(method: Method = "silero") -> Detector:
    """off: all is speech. Raises UsageError for a name that is not known."""
    if method not in METHODS:
        raise UsageError(f"Voice activity {method!r} is not known: use silero, energy or off.")
    kinds: dict[str, type[Detector]] = {"silero": Silero, "energy": EnergyGate, "off": Everything}
    return kinds[method]()


class Everything:
    """Takes all for speech."""

    name = "off"

    def windows(self, blocks: Iterable[Samples]) -> Iterator[tuple[Samples, Likely]]:
        """As `Detector` says."""
        for samples in regrouped(blocks, FRAME_SAMPLES):
            yield samples, np.ones(-(-len(samples) // FRAME_SAMPLES), np.float32)


class EnergyGate:
    """What stands out from the background by its level."""

    name = "energy"

    def windows(self, blocks: Iterable[Samples]) -> Iterator[tuple[Samples, Likely]]:
        """As `Detector` says; waits for WINDOW_FRAMES."""
        before = np.zeros(0)
        for samples in regrouped(blocks, WINDOW_FRAMES * FRAME_SAMPLES):
            dbfs = levels(samples)
            yield samples, _standing_out(dbfs, np.concatenate([before, dbfs]))
            before = dbfs


class Silero:
    """Silero's network, version 6, in its form that takes many frames at once."""

    name = "silero"

    def __init__(self) -> None:
        self._session = open_session(SILERO, cuda=False, threads=1)

    def windows(self, blocks: Iterable[Samples]) -> Iterator[tuple[Samples, Likely]]:
        """As `Detector` says; its memory is the recording's, from the first sample on."""
        h = c = np.zeros(SILERO_STATE, np.float32)
        context = np.zeros(SILERO_CONTEXT, np.float32)
        for samples in regrouped(blocks, FRAME_SAMPLES):
            padding = np.zeros(-len(samples) % FRAME_SAMPLES, np.float32)
            sound = np.concatenate([context, samples, padding])
            frames = sliding_window_view(sound, SILERO_CONTEXT + FRAME_SAMPLES)[::FRAME_SAMPLES]
            likely, h, c = self._session.run(None, {"input": np.ascontiguousarray(frames), "h": h, "c": c})
            context = sound[-SILERO_CONTEXT:]
            yield samples, likely


def regrouped(blocks: Iterable[Samples], size: int) -> Iterator[Samples]:
    """The same samples in multiples of `size`, and what is left at the end."""
    held = np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        ready = len(held) // size * size
        if ready:
            yield held[:ready]
            held = held[ready:]
    if len(held):
        yield held


def _standing_out(dbfs: np.ndarray, context: np.ndarray) -> Likely:
    """(frames,) dBFS of a window, and with those before it -> how likely each is speech."""
    noise = float(np.percentile(context, NOISE_PERCENTILE))
    loud = float(np.sort(dbfs)[-min(LOUD_FRAMES, len(dbfs))])
    if loud < SILENT_DBFS or loud - noise < STEADY_DB:
        return np.zeros(len(dbfs), np.float32)
    limit = max(noise + SPEECH_ABOVE_NOISE_DB, loud - SPEECH_RANGE_DB)
    return (1 / (1 + np.exp((limit - dbfs) / SLOPE_DB))).astype(np.float32)
