"""The frames that training starts from: everything below the lowest changed layer, computed once a clip and copy.

Prompts high in the network leave all below them constant, and so does every random copy (speed, noise, masks) once
its seed is fixed: copy n of a clip is always the same. Frames are kept on disk under a name that is the hash of all
that they depend on, so that they can never be stale. It does not know labels or the training loop.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..audio.reading import SAMPLE_RATE, load_audio
from ..contract.files import atomic_path
from ..contract.train_settings import Augmentation
from ..model.device import Device
from ..model.frontend import Frames
from ..model.handles import NO_HANDLES
from ..model.network import EncoderDecoder
from .augment import SpecAugment, augment

FEATURES_VERSION = 3  # part of every key: raise it when the same settings give other frames
CLEAN = 0  # the copy that is the recording itself
ALL_LAYERS = -1
PAUSE_SECONDS = 0.3  # between clips that are heard as one
RESERVED_BYTES = 256 << 20  # that the cache leaves on the disk, for results and recordings


class FeatureCache:
    """Arrays on disk by key, least recently used first to go when they pass `max_bytes`.

    It takes no room where the disk has less than `reserved_bytes` left: others need that more.
    """

    def __init__(self, folder: Path, max_bytes: int = 4 << 30, reserved_bytes: int = RESERVED_BYTES):
        self.folder = folder
        self.max_bytes, self.reserved_bytes = max_bytes, reserved_bytes
        self._bytes = self.size()

    def get(self, key: str) -> np.ndarray | None:
        """The array, memory-mapped, or None."""
        path = self._path(key)
        try:
            array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
            os.utime(path)
        except (OSError, ValueError):
            return None
        return array

    def put(self, key: str, array: np.ndarray) -> bool:
        """Keeps an array; False: it did not, as the disk is nearly full."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self.folder).free < self.reserved_bytes:
                return False
            with atomic_path(self._path(key)) as temporary, temporary.open("wb") as file:
                np.save(file, array, allow_pickle=False)
        except OSError:
            return False
        self._bytes += array.nbytes
        if self._bytes > self.max_bytes:
            self._shrink(self.max_bytes // 2)
        return True

    def drop(self, key: str) -> None:
        """Removes an array, if it is there."""
        self._path(key).unlink(missing_ok=True)

    def size(self) -> int:
        """Bytes in use."""
        return sum(path.stat().st_size for path in self.folder.glob("*/*.npy"))

    def clear(self) -> int:
        """Empties the cache; returns the bytes freed."""
        freed = self.size()
        self._shrink(0)
        return freed

    def _shrink(self, target: int) -> None:
        paths = sorted(self.folder.glob("*/*.npy"), key=lambda path: path.stat().st_mtime)
        self._bytes = sum(path.stat().st_size for path in paths)
        for path in paths:
            if self._bytes <= target:
                break
            self._bytes -= path.stat().st_size
            path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npy"


@dataclass(frozen=True)
class Example:
    """One clip as training sees it."""

    sha256: str  # of the audio file, or of those of all
    path: Path
    seconds: float
    tokens: tuple[int, ...]
    more: tuple[Path, ...] = ()  # what is heard behind it, each after a pause

    def followed_by(self, other: "Example") -> "Example":
        """Both, one behind the other."""
        sha256 = hashlib.sha256(f"{self.sha256}+{other.sha256}".encode()).hexdigest()
        seconds = self.seconds + PAUSE_SECONDS + other.seconds
        return Example(sha256, self.path, seconds, self.tokens + other.tokens, (*self.more, other.path, *other.more))


def padded(rows: Sequence[Tensor], device: torch.device) -> Frames:
    """A batch of (length, ...) each."""
    values = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True).to(device)
    return Frames(values, torch.tensor([len(row) for row in rows], device=device))


class Waveforms(NamedTuple):
    """A padded batch of waveforms."""

    samples: Tensor  # (batch, samples)
    lengths: Tensor  # (batch,) int64


class FeatureSource:
    """Frames of examples before encoder layer `layer`; ALL_LAYERS: the encoder's output; None: their waveforms, where
    training changes even the frontend.
    """

    def __init__(
        self,
        model: EncoderDecoder,
        backbone_sha256: str,
        layer: int | None,
        augmentation: Augmentation,
        cache: FeatureCache | None,
        device: Device,
    ):
        self.model, self.layer, self.augmentation, self.cache, self.device = model, layer, augmentation, cache, device
        window = model.config.mel_window_seconds
        self._is_full = False  # the cache's disk
        self.settings = [FEATURES_VERSION, backbone_sha256, layer, asdict(augmentation), asdict(SpecAugment())]
        self.settings += [{"window": window}] if window else []

    def prepare(self, examples: Sequence[Example], copies: Sequence[int]) -> Iterator[tuple[int, int, bool]]:
        """Fills the cache; yields (done, total, whether it was kept) after every clip, and ends where one was not."""
        if self.cache is None:
            return
        for done, example in enumerate(examples, start=1):
            for copy in copies:
                self._kept(example, copy)
            yield done, len(examples), not self._is_full
            if self._is_full:
                return

    def forget(self, examples: Sequence[Example], copies: Sequence[int]) -> None:
        """Removes from the cache what `prepare` put there."""
        for key in (self._key(example, copy) for example in examples for copy in copies):
            if self.cache is not None:
                self.cache.drop(key)

    def batch(self, examples: Sequence[Example], copies: Sequence[int]) -> Frames | Waveforms:
        """Padded frames, or waveforms where nothing is constant."""
        rows = [self._kept(example, copy) for example, copy in zip(examples, copies, strict=True)]
        frames = padded(rows, self.device.torch_device)
        return Waveforms(frames.values, frames.lengths) if self.layer is None else frames

    def _kept(self, example: Example, copy: int) -> Tensor:
        """(frames, dim), or (samples,) where nothing is constant; from the cache where it is there."""
        key = self._key(example, copy)
        kept = None if self.cache is None else self.cache.get(key)
        if kept is not None:
            return torch.from_numpy(np.array(kept))
        if self.cache is None:
            return self._compute(example, copy)
        with torch.autocast(self.device.torch_device.type, enabled=False):  # the cache serves every precision
            computed = self._compute(example, copy)
        self._is_full = not self.cache.put(key, computed.numpy())
        return computed

    @torch.no_grad()
    def _compute(self, example: Example, copy: int) -> Tensor:
        samples = torch.from_numpy(self._waveform(example, copy))
        if self.layer is None:
            return samples
        waveform = samples[None].to(self.device.torch_device)
        lengths = torch.tensor([waveform.shape[1]], device=waveform.device)
        encoder = self.model.encoder
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed(example, copy))
            frames = encoder.embed(waveform, lengths, corrupt=None if copy == CLEAN else SpecAugment())
        last = None if self.layer == ALL_LAYERS else self.layer
        values = encoder(frames, NO_HANDLES, 0, last).values
        assert isinstance(values, Tensor)
        return values[0].cpu()

    def _waveform(self, example: Example, copy: int) -> np.ndarray:
        pause = np.zeros(int(PAUSE_SECONDS * SAMPLE_RATE), np.float32)
        rest = [part for path in example.more for part in (pause, load_audio(path))]
        waveform = np.concatenate([load_audio(example.path), *rest])
        if copy == CLEAN:
            return waveform
        return augment(waveform, self.augmentation, (), np.random.default_rng(self._seed(example, copy)))

    def _seed(self, example: Example, copy: int) -> int:
        return int.from_bytes(hashlib.sha256(f"{example.sha256}/{copy}".encode()).digest()[:6], "big")

    def _key(self, example: Example, copy: int) -> str:
        description = json.dumps([*self.settings, example.sha256, copy], sort_keys=True)
        return hashlib.sha256(description.encode()).hexdigest()
