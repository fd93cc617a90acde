"""Pretraining a backbone: labelled speech in many languages to phones, by joint CTC + attention.

The backbone learns to be steered while it learns to write: each language has its own key/value prompts, trained along
with the network; some batches go without, and some clips get a prompt that all languages share. So a new language's
prompt meets attention layers that know how to use one, and starts from the shared prompt.

A batch is a function of (seed, step) alone: nothing is kept between steps, and a resumed run sees what an unbroken
one would. It does not know where the corpus came from.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from rapidfuzz.distance import Levenshtein
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from engine.audio import SAMPLE_RATE
from engine.augment import Augmentation, SpecAugment, augment
from engine.checkpoint import load_checkpoint, save_checkpoint
from engine.corpus import Corpus, Utterance
from engine.device import Device
from engine.handles import NO_HANDLES, Handles, KeyValue, tensor_name
from engine.losses import Labels, joint_loss
from engine.model import Attention, EncoderDecoder, ModelConfig
from engine.vocabulary import PAD, Vocabulary
from engine.weights import save_backbone

POOL_BATCHES = 16  # batches drawn together and cut by length
# Batches come in few shapes: oneDNN compiles its kernels for each new shape, which can cost more than the step itself.
BUCKET_SECONDS = 2.0
BUCKET_TOKENS = 48
SHARED = 0  # row of the prompt that all languages share


@dataclass(frozen=True)
class PretrainSettings:
    """One pretraining."""

    steps: int
    batch_seconds: float = 80.0
    learning_rate: float = 1e-3
    warmup_steps: int = 1000
    decay_steps: int = 3000  # the last steps, down to nothing; constant in between
    weight_decay: float = 0.01
    clip_norm: float = 2.0
    dropout: float = 0.1
    ctc_weight: float = 0.5
    smoothing: float = 0.1
    synthetic_share: float = 0.25  # of the clips drawn
    temperature: float = 0.5  # a language is drawn in proportion to its hours to this power
    join_share: float = 0.2  # clips lengthened by another of the same language
    longest_seconds: float = 24.0
    prompt_length: int = 16
    bare_share: float = 0.25  # batches without prompts
    shared_share: float = 0.3  # clips with the shared prompt in place of their language's
    evaluate_every: int = 1000
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)


class Batch(NamedTuple):
    """What one step sees."""

    waveform: Tensor  # (batch, samples)
    lengths: Tensor  # (batch,) samples
    labels: Labels
    languages: Tensor  # (batch,) rows of LanguagePrompts


class Batches(Dataset[Batch]):
    """Batch number `step`, for any step."""

    def __init__(
        self,
        corpus: Corpus,
        vocabulary: Vocabulary,
        settings: PretrainSettings,
        noises: Sequence[np.ndarray],
        languages: Sequence[str],
    ):
        self.corpus, self.vocabulary, self.settings, self.noises = corpus, vocabulary, settings, noises
        self.languages = {language: row for row, language in enumerate(languages, start=SHARED + 1)}
        self.training = [utterance for utterance in corpus.utterances if not utterance.held_out]

    def __getitem__(self, step: int) -> Batch:
        group, place = divmod(step, POOL_BATCHES)
        clips = self._pool(np.random.default_rng([self.settings.seed, group]))[place]
        rng = np.random.default_rng([self.settings.seed, group, place])
        waveforms = [self._waveform(pieces, rng) for pieces in clips]
        return collate(
            waveforms,
            [" ".join(piece.phones for piece in pieces) for pieces in clips],
            [self.languages[pieces[0].language] for pieces in clips],
            self.vocabulary,
        )

    def _waveform(self, pieces: Sequence[Utterance], rng: np.random.Generator) -> np.ndarray:
        joined = np.concatenate([self.corpus.waveform(piece) for piece in pieces])
        return augment(joined, self.settings.augmentation, self.noises, rng)

    def _pool(self, rng: np.random.Generator) -> list[list[list[Utterance]]]:
        """POOL_BATCHES batches of (joined) clips of one length bucket each, in random order."""
        waiting: dict[int, list[list[Utterance]]] = {}
        batches: list[list[list[Utterance]]] = []
        while len(batches) < POOL_BATCHES:
            pieces = self._draw(rng)
            bucket = math.ceil(length(pieces) / BUCKET_SECONDS)
            batch = waiting.setdefault(bucket, [])
            batch.append(pieces)
            if len(batch) == max(1, int(self.settings.batch_seconds / (bucket * BUCKET_SECONDS))):
                batches.append(waiting.pop(bucket))
        return [batches[index] for index in rng.permutation(POOL_BATCHES)]

    def _draw(self, rng: np.random.Generator) -> list[Utterance]:
        synthetic = bool(rng.random() < self.settings.synthetic_share)
        names, weights, members = self._groups.get(synthetic) or self._groups[not synthetic]
        clips = members[names[rng.choice(len(names), p=weights)]]
        pieces = [clips[rng.integers(len(clips))]]
        if rng.random() < self.settings.join_share:
            other = clips[rng.integers(len(clips))]
            if pieces[0].seconds + other.seconds <= self.settings.longest_seconds:
                pieces.append(other)
        return pieces

    @cached_property
    def _groups(self) -> dict[bool, tuple[list[str], np.ndarray, dict[str, list[Utterance]]]]:
        groups = {}
        for synthetic in {utterance.source == "espeak-ng" for utterance in self.training}:
            members: dict[str, list[Utterance]] = {}
            for utterance in self.training:
                if (utterance.source == "espeak-ng") == synthetic:
                    members.setdefault(utterance.language, []).append(utterance)
            hours = np.array([length(clips) for clips in members.values()])
            weights = hours**self.settings.temperature
            groups[synthetic] = (list(members), weights / weights.sum(), members)
        return groups


def length(pieces: Sequence[Utterance]) -> float:
    """Seconds in all."""
    return sum(piece.seconds for piece in pieces)


def collate(
    waveforms: Sequence[np.ndarray], phones: Sequence[str], languages: Sequence[int], vocabulary: Vocabulary
) -> Batch:
    """Pads clips with zeros and labels with PAD."""
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    bucket = int(BUCKET_SECONDS * SAMPLE_RATE)
    padded = torch.zeros(len(waveforms), _round_up(int(lengths.max()), bucket))
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = torch.from_numpy(waveform)
    labels = Labels.of([vocabulary.encode(text) for text in phones])
    missing = _round_up(labels.tokens.shape[1], BUCKET_TOKENS) - labels.tokens.shape[1]
    labels = Labels(F.pad(labels.tokens, (0, missing), value=PAD), labels.lengths)
    return Batch(padded, lengths, labels, torch.tensor(languages))


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


class LanguagePrompts(nn.Module):
    """Keys and values before projection, (languages + shared, layers, length, dim), for every self-attention layer."""

    def __init__(self, config: ModelConfig, languages: int, length: int):
        super().__init__()
        layers = config.encoder_layers + config.decoder_layers
        self.keys = nn.Parameter(torch.randn(languages + 1, layers, length, config.dim) * 0.5)
        self.values = nn.Parameter(torch.randn(languages + 1, layers, length, config.dim) * 0.5)

    def forward(self, model: EncoderDecoder, rows: Tensor) -> Handles:
        """rows: (batch,) -> handles with a prompt for each clip."""
        layers = [*model.encoder.layers, *model.decoder.layers]
        prompts = {
            index: project(layer.attention, self.keys[rows, index], self.values[rows, index])
            for index, layer in enumerate(layers)
        }
        encoder = model.config.encoder_layers
        return Handles(
            encoder_prompts={index: prompt for index, prompt in prompts.items() if index < encoder},
            decoder_prompts={index - encoder: prompt for index, prompt in prompts.items() if index >= encoder},
        )


def project(attention: Attention, keys: Tensor, values: Tensor) -> KeyValue:
    """(..., length, dim) before the projections -> keys and values (..., length, heads, head_dim) behind them."""
    heads = (attention.heads, -1)
    return KeyValue(attention.key(keys).unflatten(-1, heads), attention.value(values).unflatten(-1, heads))


class Pretraining(nn.Module):
    """The network and its language prompts: what a checkpoint holds."""

    def __init__(self, config: ModelConfig, settings: PretrainSettings, languages: int):
        super().__init__()
        self.model = EncoderDecoder(config, settings.dropout)
        self.prompts = LanguagePrompts(config, languages, settings.prompt_length)


def learning_rate(step: int, settings: PretrainSettings) -> float:
    """Warm-up, constant, linear decay to nothing."""
    rise = min(1.0, (step + 1) / settings.warmup_steps)
    fall = min(1.0, (settings.steps - step) / settings.decay_steps)
    return settings.learning_rate * min(rise, fall)


def pretrain(
    config: ModelConfig,
    corpus: Corpus,
    vocabulary: Vocabulary,
    settings: PretrainSettings,
    noises: Sequence[np.ndarray],
    folder: Path,
    device: Device,
) -> Iterator[dict[str, Any]]:
    """Trains, resuming from `folder/checkpoint.safetensors` where there is one.

    Yields an event every 20 steps and evaluation.
    """
    languages = sorted({utterance.language for utterance in corpus.utterances})
    torch.manual_seed(settings.seed)
    task = Pretraining(config, settings, len(languages)).to(device.torch_device)
    optimizer = torch.optim.AdamW(
        task.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=settings.weight_decay
    )
    checkpoint = folder / "checkpoint.safetensors"
    progress = {"step": 0, "audio_seconds": 0.0, "seconds": 0.0}
    if checkpoint.exists():
        progress = load_checkpoint(checkpoint, task, optimizer)
    batches = Batches(corpus, vocabulary, settings, noises, languages)
    held_out = [utterance for utterance in corpus.utterances if utterance.held_out]
    started = time.monotonic() - progress["seconds"]
    waited = 0.0
    steps = range(int(progress["step"]), settings.steps)
    loader = iter(DataLoader(batches, batch_size=None, sampler=steps, num_workers=1, prefetch_factor=8))
    for step in steps:
        before = time.monotonic()
        batch = next(loader)
        waited += time.monotonic() - before
        losses = _step(task, optimizer, batch, settings, step, device)
        progress["audio_seconds"] += float(batch.lengths.sum()) / SAMPLE_RATE
        progress |= {"step": step + 1, "seconds": time.monotonic() - started}
        if (step + 1) % 20 == 0:
            yield {"event": "step", **progress, **losses, "waited_seconds": waited}
        if (step + 1) % settings.evaluate_every == 0 or step + 1 == settings.steps:
            save_checkpoint(checkpoint, task, optimizer, progress)
            yield {"event": "evaluation", **progress, **evaluate(task, held_out, batches, device)}


def _step(
    task: Pretraining,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    settings: PretrainSettings,
    step: int,
    device: Device,
) -> dict[str, float]:
    torch.manual_seed(settings.seed * 1_000_003 + step)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, settings)
    task.train()
    target = device.torch_device
    rows = torch.where(torch.rand(len(batch.languages)) < settings.shared_share, SHARED, batch.languages).to(target)
    bare = bool(torch.rand(()) < settings.bare_share)
    first = int(torch.randint(0, 500, ()))
    with device.autocast():
        handles = NO_HANDLES if bare else task.prompts(task.model, rows)
        waveform, lengths, labels = batch.waveform.to(target), batch.lengths.to(target), batch.labels.to(target)
        frames = task.model.encoder.embed(waveform, lengths, first, SpecAugment())
        encoded = task.model.encoder(frames, handles)
        losses = joint_loss(task.model, encoded, labels, handles, settings.ctc_weight, settings.smoothing)
    optimizer.zero_grad(set_to_none=True)
    losses.total.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(task.parameters(), settings.clip_norm)
    if torch.isfinite(norm):
        optimizer.step()
    return {"ctc": losses.ctc.item(), "attention": losses.attention.item(), "gradient_norm": norm.item()}


@torch.no_grad()
def evaluate(
    task: Pretraining, utterances: Sequence[Utterance], batches: Batches, device: Device
) -> dict[str, dict[str, float]]:
    """Symbol errors of the CTC best path on held-out clips, by source and language, with the shared prompt."""
    task.eval()
    errors: dict[str, list[int]] = {}
    chosen = sorted(utterances, key=lambda utterance: utterance.samples)
    for start in range(0, len(chosen), 8):
        clips = chosen[start : start + 8]
        waveforms = [batches.corpus.waveform(clip) for clip in clips]
        batch = collate(waveforms, [clip.phones for clip in clips], [SHARED] * len(clips), batches.vocabulary)
        with device.autocast():
            handles = task.prompts(task.model, batch.languages.to(device.torch_device))
            frames = task.model.encoder.embed(
                batch.waveform.to(device.torch_device), batch.lengths.to(device.torch_device)
            )
            encoded = task.model.encoder(frames, handles)
            logits = task.model.ctc_logits(encoded, handles)
        assert logits is not None
        for row, clip in enumerate(clips):
            guess = best_path(logits[row, : int(encoded.lengths[row])])
            label = batch.labels.tokens[row, : int(batch.labels.lengths[row])].tolist()
            for key in (clip.source, f"{clip.source}/{clip.language}"):
                total = errors.setdefault(key, [0, 0])
                total[0] += Levenshtein.distance(guess, label)
                total[1] += len(label)
    return {"symbol_error_rate": {key: round(wrong / count, 4) for key, (wrong, count) in sorted(errors.items())}}


def best_path(logits: Tensor) -> list[int]:
    """(frames, vocab) -> the tokens of the best CTC path."""
    path = torch.unique_consecutive(logits.argmax(-1)).tolist()
    return [token for token in path if token != PAD]


def save_pretrained(
    folder: Path, task: Pretraining, vocabulary: Vocabulary, *, name: str, languages: tuple[str, ...], licence: str
) -> None:
    """Writes the network and the prompt that all languages share as a backbone folder, in float16."""
    config = task.model.config
    places = [("encoder", layer) for layer in range(config.encoder_layers)]
    places += [("decoder", layer) for layer in range(config.decoder_layers)]
    shared = {}
    for index, (stack, layer) in enumerate(places):
        shared[tensor_name(stack, layer, "prompt", "key")] = task.prompts.keys[SHARED, index]
        shared[tensor_name(stack, layer, "prompt", "value")] = task.prompts.values[SHARED, index]
    save_backbone(folder, name, task.model, vocabulary, languages=languages, licence=licence, shared_prompt=shared)
