"""Discrete units of speech, as GSLM's language model reads them (Lakhotia et al. 2021): k-means over an encoder's
frames, repeats merged. GSLM clusters HuBERT's frames; these are of a backbone that is installed.

It does not know the language model, nor what becomes of the units.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lect.engine.audio.reading import SAMPLE_RATE, load_audio
from lect.engine.contract.files import read_json, write_json
from lect.engine.data.layouts import Item, read
from lect.engine.model.backbone import open_backbone
from lect.engine.model.device import Device
from lect.engine.model.weights import load_model
from lect.engine.pretraining.acoustic_units import clustered, encoder_frames, units_of

CLUSTERS = 100  # GSLM's and SpeechPrompt's
CLUSTERED_CLIPS = 200  # that the centroids are made from: a quarter of an hour
HELD_OUT = 0.04  # of the speech, other speakers
CENTROIDS, UNITS = "centroids.npy", "units.json"

Frames = Callable[[np.ndarray], np.ndarray]  # (samples,) float32 at 16 kHz -> (frames, dim)


@dataclass(frozen=True)
class UnitCorpus:
    """The units of speech that need not be transcribed."""

    train: list[list[int]]  # of each clip
    held_out: list[list[int]]  # of speakers who are not in train
    hours: float  # of both


@dataclass(frozen=True)
class Encoder:
    """Which frames are clustered."""

    backbone: str
    layer: int  # from 1

    def frames(self, device: Device) -> Frames:
        """The frames of a clip alone, without the window that a Whisper fills up.

        Each is normalised: a few dimensions of a Whisper's upper layers are ten times as large as all others, and would
        decide alone. Raises UsageError for a backbone or a layer that there is not.
        """
        raw = encoder_frames(load_model(open_backbone(self.backbone), window_seconds=0.0), self.layer, device)

        def frames(waveform: np.ndarray) -> np.ndarray:
            with device.autocast():
                values = raw(waveform)
            normalised: np.ndarray = (values - values.mean(1, keepdims=True)) / values.std(1, keepdims=True)
            return normalised

        return frames


def unit_corpus(folder: Path, sets: Sequence[Path], without: Sequence[str], hours: float, frames: Frames) -> UnitCorpus:
    """So many hours of the sets as units, of whole speakers drawn at random; kept in `folder` with the centroids.

    without: languages that are left out with all who speak them.
    """
    if not (folder / UNITS).exists():
        speakers = _speakers([item for each in sets for item in read(each)], without)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / CENTROIDS, _centroids(speakers, frames), allow_pickle=False)
        write_json(folder / UNITS, asdict(_corpus(speakers, hours, frames, centroids_in(folder))))
    return UnitCorpus(**read_json(folder / UNITS))


def centroids_in(folder: Path) -> np.ndarray:
    """(clusters, dim) of a corpus that was made."""
    centroids: np.ndarray = np.load(folder / CENTROIDS, allow_pickle=False)
    return centroids


def _speakers(items: Iterable[Item], without: Sequence[str]) -> list[list[Item]]:
    """The recordings of each speaker, in an order drawn once and for all."""
    found, left_out = dict[str, list[Item]](), set[str]()
    for item in items:
        found.setdefault(item.speaker, []).append(item)
        if item.language in without:
            left_out.add(item.speaker)
    speakers = [found[speaker] for speaker in sorted(found) if speaker not in left_out]
    random.Random(0).shuffle(speakers)
    return speakers


def _centroids(speakers: Sequence[Sequence[Item]], frames: Frames) -> np.ndarray:
    clips = [item for speaker in speakers for item in speaker]
    chosen = random.Random(0).sample(clips, min(CLUSTERED_CLIPS, len(clips)))
    return clustered(np.concatenate([frames(load_audio(item.path)) for item in chosen]), CLUSTERS, seed=0)


def _corpus(speakers: Sequence[Sequence[Item]], hours: float, frames: Frames, centroids: np.ndarray) -> UnitCorpus:
    train, held_out, seconds = list[list[int]](), list[list[int]](), 0.0
    for speaker in speakers:
        into = held_out if seconds < HELD_OUT * hours * 3600 else train
        for waveform in _waveforms(speaker):
            into.append(units_of(frames(waveform), centroids).tolist())
            seconds += len(waveform) / SAMPLE_RATE
        if seconds >= hours * 3600:
            break
    return UnitCorpus(train, held_out, seconds / 3600)


def _waveforms(items: Iterable[Item]) -> Iterator[np.ndarray]:
    for item in items:
        yield load_audio(item.path)
