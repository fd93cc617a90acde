"""What a CTC head heard in recordings, kept: a byte for each token and frame, so that they are searched again at once.

A recording is known by the hash of its bytes, and a model by its own: a changed one is heard anew. Ten hours take 32 MB
with 36 symbols. It does not know how words are found.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from lect.engine.audio.reading import SAMPLE_RATE
from lect.engine.contract.files import read_json, sha256_file, write_bytes, write_json
from lect.engine.decoding.ctc import LogProbs
from lect.engine.decoding.spotting import Costs, costs
from lect.engine.model.backbone import SUMS, home

from .segments import Piece

FORMAT = 1
KNOWN = "known.json"  # path -> size, time of its last change, hash: hashing ten hours of sound takes seconds

Heard = Iterable[tuple[Piece, LogProbs, float]]


@dataclass(frozen=True)
class Entry:
    """One recording."""

    pieces: tuple[Costs, ...]  # of speech
    starts: tuple[float, ...]  # seconds, of each
    hop: float  # seconds between frames


class PosteriorIndex:
    """The recordings that one model has heard."""

    def __init__(self, model: str, folder: Path | None = None) -> None:
        """model: what tells it from others, see `model_key`; folder: of all indexes (the user's)."""
        self._root = folder or home() / "index"
        self._folder = self._root / hashlib.sha256(f"{FORMAT} {model}".encode()).hexdigest()[:16]
        self._known = _known(self._root / KNOWN)
        self._changed = False

    def entry(self, path: Path, hear: Callable[[Path], Heard]) -> Entry:
        """What was heard in a recording; `hear` is called where it is new. Raises what `hear` raises, and OSError."""
        place = self._folder / f"{self._hash(path)}.safetensors"
        found = _read(place)
        if found is None:
            found = _gathered(hear(path))
            write_bytes(place, _packed(found))
        return found

    def save(self) -> None:
        """Remembers which files were seen."""
        if self._changed:
            write_json(self._root / KNOWN, self._known)

    def _hash(self, path: Path) -> str:
        facts = os.stat(path)
        name, stamp = str(path.resolve()), [facts.st_size, facts.st_mtime_ns]
        kept = self._known.get(name)
        if kept is None or kept[:2] != stamp:
            kept = self._known[name] = [*stamp, sha256_file(path)]
            self._changed = True
        return str(kept[2])


def model_key(source: Path) -> str:
    """What tells a pack, a bundle, a portable folder or a backbone from any other: the hash of all that it holds."""
    return sha256_file(source / SUMS if source.is_dir() else source)


def _known(path: Path) -> dict[str, list[Any]]:
    try:
        return dict(read_json(path))
    except (OSError, ValueError, TypeError):
        return {}  # it is only quicker with it


def _gathered(heard: Heard) -> Entry:
    found = [(costs(log_probs), piece.start / SAMPLE_RATE, hop) for piece, log_probs, hop in heard]
    hop = found[0][2] if found else 1.0
    return Entry(tuple(each[0] for each in found), tuple(each[1] for each in found), hop)


def _packed(entry: Entry) -> bytes:
    joined = np.concatenate(entry.pieces, axis=1) if entry.pieces else np.zeros((0, 0), np.uint8)
    facts = {
        "lengths": np.array([piece.shape[1] for piece in entry.pieces], np.int64),
        "starts": np.array(entry.starts, np.float64),
        "hop": np.array([entry.hop], np.float64),
    }
    return safetensors.numpy.save({"costs": np.ascontiguousarray(joined), **facts})


def _read(place: Path) -> Entry | None:
    """None where there is none, or where it is damaged: it is made again."""
    try:
        kept = safetensors.numpy.load(place.read_bytes())
        cuts = np.cumsum(kept["lengths"])[:-1]
        pieces = np.split(kept["costs"], cuts, axis=1) if len(kept["lengths"]) else []
        return Entry(tuple(pieces), tuple(map(float, kept["starts"])), float(kept["hop"][0]))
    except (OSError, SafetensorError, KeyError, ValueError, IndexError):
        return None
