"""What a pretraining step sees: clips drawn by language, joined, augmented and cut into batches of one length.

Batch number n is a function of (seed, n) alone, so that any process can make any of them and a resumed run sees what
an unbroken one would. It does not know the network.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from ..audio.reading import SAMPLE_RATE
from ..contract.train_settings import Augmentation
from ..text.vocabulary import PAD, Vocabulary
from ..training.augment import augment
from ..training.losses import Labels
from .corpus import SYNTHETIC, Corpus, Utterance

POOL_BATCHES = 32  # drawn together, sorted and cut, so that clips of a batch are about as long as each other
BUCKET_SECONDS = 1.0  # to which a batch's longest clip is rounded up, for its size
# Batches come in few shapes, since oneDNN compiles its kernels anew for each.
PADDING_SECONDS = 0.5
PADDING_TOKENS = 48
SHARED = 0  # row of the prompt that all languages share


@dataclass(frozen=True)
class Sampling:
    """How batches are drawn."""

    batch_seconds: float = 80.0  # at most, before augmentation
    synthetic_share: float = 0.25  # of the clips drawn
    temperature: float = 0.5  # a language is drawn in proportion to its hours to this power
    join_share: float = 0.2  # clips lengthened by another of the same language
    longest_seconds: float = 24.0
    augmentation: Augmentation = field(default_factory=Augmentation)


class Batch(NamedTuple):
    """Padded clips and their labels."""

    waveform: Tensor  # (batch, samples)
    lengths: Tensor  # (batch,) samples
    labels: Labels
    languages: Tensor  # (batch,) rows of LanguagePrompts


class Batches(Dataset[Batch]):
    """Batch number n, for any n."""

    def __init__(
        self,
        corpus: Corpus,
        vocabulary: Vocabulary,
        sampling: Sampling,
        noises: Sequence[np.ndarray],
        languages: Sequence[str],
        seed: int,
    ):
        self.corpus, self.vocabulary, self.sampling, self.noises = corpus, vocabulary, sampling, noises
        self.seed = seed
        self.languages = {language: row for row, language in enumerate(languages, start=SHARED + 1)}
        self._pools: dict[int, list[list[list[Utterance]]]] = {}  # the last one: most batches need it again
        self.training = [clip for clip in corpus.utterances if clip.label and not clip.held_out]

    def __getitem__(self, number: int) -> Batch:
        group, place = divmod(number, POOL_BATCHES)
        if group not in self._pools:
            self._pools = {group: self._pool(np.random.default_rng([self.seed, group]))}
        clips = self._pools[group][place]
        rng = np.random.default_rng([self.seed, group, place])
        waveforms = [self._waveform(pieces, rng) for pieces in clips]
        return collate(
            waveforms,
            [" ".join(piece.label for piece in pieces) for pieces in clips],
            [self.languages[pieces[0].language] for pieces in clips],
            self.vocabulary,
        )

    def _waveform(self, pieces: Sequence[Utterance], rng: np.random.Generator) -> np.ndarray:
        joined = np.concatenate([self.corpus.waveform(piece) for piece in pieces])
        return augment(joined, self.sampling.augmentation, self.noises, rng)

    def _pool(self, rng: np.random.Generator) -> list[list[list[Utterance]]]:
        """POOL_BATCHES batches of (joined) clips, each of neighbours in length, in random order."""
        drawn, seconds = [self._draw(rng) for _ in range(POOL_BATCHES)], 0.0
        while seconds < POOL_BATCHES * self.sampling.batch_seconds:
            drawn.append(self._draw(rng))
            seconds += length(drawn[-1])
        drawn.sort(key=length)
        batches = []
        while drawn:
            bucket = math.ceil(length(drawn[-1]) / BUCKET_SECONDS) * BUCKET_SECONDS
            size = max(1, int(self.sampling.batch_seconds / bucket))
            batches.append(drawn[-size:])
            del drawn[-size:]
        return [batches[index] for index in rng.permutation(len(batches))[:POOL_BATCHES]]

    def _draw(self, rng: np.random.Generator) -> list[Utterance]:
        synthetic = bool(rng.random() < self.sampling.synthetic_share)
        names, weights, members = self._groups.get(synthetic) or self._groups[not synthetic]
        clips = members[names[rng.choice(len(names), p=weights)]]
        pieces = [clips[rng.integers(len(clips))]]
        if rng.random() < self.sampling.join_share:
            other = clips[rng.integers(len(clips))]
            if pieces[0].seconds + other.seconds <= self.sampling.longest_seconds:
                pieces.append(other)
        return pieces

    @cached_property
    def _groups(self) -> dict[bool, tuple[list[str], np.ndarray, dict[str, list[Utterance]]]]:
        groups = {}
        for synthetic in {utterance.source == SYNTHETIC for utterance in self.training}:
            members: dict[str, list[Utterance]] = {}
            for utterance in self.training:
                if (utterance.source == SYNTHETIC) == synthetic:
                    members.setdefault(utterance.language, []).append(utterance)
            hours = np.array([length(clips) for clips in members.values()])
            weights = hours**self.sampling.temperature
            groups[synthetic] = (list(members), weights / weights.sum(), members)
        return groups


def length(pieces: Sequence[Utterance]) -> float:
    """Seconds in all."""
    return sum(piece.seconds for piece in pieces)


def collate(
    waveforms: Sequence[np.ndarray], texts: Sequence[str], languages: Sequence[int], vocabulary: Vocabulary
) -> Batch:
    """Pads clips with zeros and labels with PAD."""
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    padded = torch.zeros(len(waveforms), _round_up(int(lengths.max()), int(PADDING_SECONDS * SAMPLE_RATE)))
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    labels = Labels.of([vocabulary.encode(text) for text in texts])
    missing = _round_up(labels.tokens.shape[1], PADDING_TOKENS) - labels.tokens.shape[1]
    labels = Labels(F.pad(labels.tokens, (0, missing), value=PAD), labels.lengths)
    return Batch(padded, lengths, labels, torch.tensor(languages))


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
