"""A pretraining corpus on disk: parts, each with int16 waveforms end to end in shards and one JSON line a clip.

Shards are memory-mapped and the index is small, so a corpus ten times larger costs the same memory a step.
It does not know where clips come from, nor how they are augmented or batched.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from ..audio.reading import SAMPLE_RATE
from ..contract.errors import UsageError
from ..contract.files import atomic_path

INDEX = "index.jsonl"
SYNTHETIC = "espeak-ng"  # the source of synthetic clips
SHARD_SAMPLES = 16_000_000  # 32 MB a shard: pieces that travel easily


@dataclass(frozen=True)
class Utterance:
    """Where one clip lies, and its label."""

    shard: str  # its file, relative to the corpus
    offset: int  # samples from the shard's start
    samples: int
    label: str  # in symbols to learn; "" where it is untranscribed
    language: str
    speaker: str
    source: str  # the set it comes from
    held_out: bool  # for evaluation only

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.samples / SAMPLE_RATE


class CorpusWriter:
    """Writes one part of a corpus; its index is the last thing written, so that a broken build is no part of it."""

    def __init__(self, corpus: Path, part: str):
        self.folder = corpus / part
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / INDEX).unlink(missing_ok=True)
        self.index = (self.folder / "index.part").open("w", encoding="utf-8")
        self.shard = -1
        self.offset = SHARD_SAMPLES
        self.file: BinaryIO

    def add(
        self, waveform: np.ndarray, label: str, *, language: str, speaker: str, source: str, held_out: bool = False
    ) -> None:
        """waveform: (samples,) float32 at 16 kHz in [-1, 1]."""
        if self.offset >= SHARD_SAMPLES:
            self._next_shard()
        samples = np.round(np.clip(waveform, -1, 1) * 32767).astype("<i2")
        self.file.write(samples.tobytes())
        shard = f"{self.folder.name}/{self._name()}"
        entry = Utterance(shard, self.offset, len(samples), label, language, speaker, source, held_out)
        self.index.write(_line(entry))
        self.offset += len(samples)

    def _next_shard(self) -> None:
        if self.shard >= 0:
            self.file.close()
        self.shard, self.offset = self.shard + 1, 0
        self.file = (self.folder / self._name()).open("wb")

    def _name(self) -> str:
        return f"{self.shard:05d}.pcm"

    def __enter__(self) -> "CorpusWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.index.close()
        if self.shard >= 0:
            self.file.close()
        if kind is None:
            (self.folder / "index.part").replace(self.folder / INDEX)


class Corpus:
    """The named parts of a corpus, or all, opened for reading. Raises UsageError where one is not there."""

    def __init__(self, folder: Path, parts: Sequence[str] = ()):
        self.folder = folder
        self.parts = sorted(parts or (index.parent.name for index in folder.glob(f"*/{INDEX}")))
        missing = [part for part in self.parts if not (folder / part / INDEX).exists()]
        if missing or not self.parts:
            which = f"no part {missing[0]!r}" if missing else "no corpus"
            raise UsageError(f"{folder} holds {which}: make one with `lect pretrain add` or `lect pretrain synth`.")
        self.utterances = [utterance for part in self.parts for utterance in read_index(folder / part / INDEX)]
        self._shards: dict[str, np.memmap] = {}

    def waveform(self, utterance: Utterance) -> np.ndarray:
        """(samples,) float32 at 16 kHz."""
        if utterance.shard not in self._shards:
            self._shards[utterance.shard] = np.memmap(self.folder / utterance.shard, dtype="<i2", mode="r")
        piece = self._shards[utterance.shard][utterance.offset : utterance.offset + utterance.samples]
        return piece.astype(np.float32) / 32768


def write_index(path: Path, utterances: Iterable[Utterance]) -> None:
    """Writes an index atomically: a part of its own, if it points into the shards of others."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(_line(utterance) for utterance in utterances)


def read_index(path: Path) -> Iterator[Utterance]:
    """The clips of one part."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield Utterance(**json.loads(line))


def _line(utterance: Utterance) -> str:
    return json.dumps(asdict(utterance), ensure_ascii=False) + "\n"
