"""A pretraining corpus on disk: int16 waveforms end to end in shards, and one JSON line a clip.

Shards are memory-mapped and the index is small, so a corpus ten times larger costs the same memory a step.
It does not know where clips come from, nor how they are augmented or batched.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from engine.audio import SAMPLE_RATE

SHARD_SAMPLES = 16_000_000  # 32 MB a shard: pieces that travel easily


@dataclass(frozen=True)
class Utterance:
    """Where one clip lies and what it says."""

    shard: int
    offset: int  # samples from the shard's start
    samples: int
    phones: str  # space between words
    language: str
    speaker: str
    source: str  # the set it comes from
    held_out: bool  # for evaluation only

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.samples / SAMPLE_RATE


class CorpusWriter:
    """Writes a corpus into an empty folder; the index is the last thing written, so a broken build is no corpus."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.index = (folder / "index.part").open("w", encoding="utf-8")
        self.shard = -1
        self.offset = SHARD_SAMPLES
        self.file: BinaryIO

    def add(
        self, waveform: np.ndarray, phones: str, *, language: str, speaker: str, source: str, held_out: bool = False
    ) -> None:
        """waveform: (samples,) float32 at 16 kHz in [-1, 1]."""
        if self.offset >= SHARD_SAMPLES:
            self._next_shard()
        samples = np.round(np.clip(waveform, -1, 1) * 32767).astype("<i2")
        self.file.write(samples.tobytes())
        entry = Utterance(self.shard, self.offset, len(samples), phones, language, speaker, source, held_out)
        self.index.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
        self.offset += len(samples)

    def _next_shard(self) -> None:
        if self.shard >= 0:
            self.file.close()
        self.shard, self.offset = self.shard + 1, 0
        self.file = (self.folder / f"{self.shard:05d}.pcm").open("wb")

    def __enter__(self) -> "CorpusWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.index.close()
        if self.shard >= 0:
            self.file.close()
        if kind is None:
            (self.folder / "index.part").replace(self.folder / "index.jsonl")


class Corpus:
    """A corpus opened for reading."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.utterances = list(_read_index(folder / "index.jsonl"))
        self._shards: dict[int, np.memmap] = {}

    def waveform(self, utterance: Utterance) -> np.ndarray:
        """(samples,) float32 at 16 kHz."""
        if utterance.shard not in self._shards:
            path = self.folder / f"{utterance.shard:05d}.pcm"
            self._shards[utterance.shard] = np.memmap(path, dtype="<i2", mode="r")
        piece = self._shards[utterance.shard][utterance.offset : utterance.offset + utterance.samples]
        return piece.astype(np.float32) / 32768


def _read_index(path: Path) -> Iterator[Utterance]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield Utterance(**json.loads(line))
