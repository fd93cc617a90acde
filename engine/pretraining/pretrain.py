"""Pretraining a backbone: speech in many languages to phones or pseudo-units, by joint CTC + attention.

The backbone learns to be steered while it learns to write: each language has its own key/value prompts, trained along
with the network; some batches go without, and some clips get a prompt that all languages share. So a new language's
prompt meets attention layers that know how to use one, and starts from the shared prompt.

A step's randomness is a function of (seed, step) alone, so a resumed run repeats an unbroken one, and processes under
torchrun repeat a single one that does their batches in turn. It does not know where the corpus came from.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..audio.reading import SAMPLE_RATE
from ..contract.errors import UsageError
from ..contract.model_config import ModelConfig
from ..contract.tensor_names import PROMPT, Stack, TensorName
from ..decoding.ctc import best_paths
from ..model.adaptations import project
from ..model.backbone import Backbone
from ..model.device import Device
from ..model.handles import NO_HANDLES, Handles
from ..model.network import EncoderDecoder
from ..model.weights import load_model, load_shared_prompt, save_backbone
from ..text.vocabulary import Vocabulary
from ..training.augment import SpecAugment
from ..training.checkpoint import load_checkpoint, load_weights, save_checkpoint
from ..training.losses import Losses, joint_loss
from ..training.processes import Processes
from .corpus import Corpus, Utterance
from .sampling import SHARED, Batch, Batches, Sampling, collate

EVENT_STEPS = 20
FARTHEST_START = 500  # frame positions: clips may start there, so that long ones do not meet untrained positions
CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class PretrainSettings:
    """One pretraining."""

    steps: int
    batches_per_step: int = 1  # divided among the processes
    learning_rate: float = 1e-3
    warmup_steps: int = 1000
    decay_steps: int = 3000  # the last steps, down to nothing; constant in between
    weight_decay: float = 0.01
    clip_norm: float = 2.0
    dropout: float = 0.1
    ctc_weight: float = 0.5
    smoothing: float = 0.1
    prompt_length: int = 16
    bare_share: float = 0.25  # batches without prompts
    shared_share: float = 0.3  # clips with the shared prompt in place of their language's
    evaluate_every: int = 1000
    masks: SpecAugment = field(default_factory=SpecAugment)
    seed: int = 0
    sampling: Sampling = field(default_factory=Sampling)


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


def places(config: ModelConfig) -> list[tuple[Stack, int]]:
    """The layers that have a prompt, in their order."""
    encoder: list[tuple[Stack, int]] = [("encoder", layer) for layer in range(config.encoder_layers)]
    return [*encoder, *(("decoder", layer) for layer in range(config.decoder_layers))]


class Pretraining(nn.Module):
    """The network and its language prompts: what a checkpoint holds."""

    def __init__(self, config: ModelConfig, settings: PretrainSettings, languages: int):
        super().__init__()
        self.model = EncoderDecoder(config, settings.dropout)
        self.prompts = LanguagePrompts(config, languages, settings.prompt_length)

    @torch.no_grad()
    def start_from(self, backbone: Backbone) -> None:
        """Takes the weights of a backbone of this shape, and its shared prompt for every language."""
        self.model.load_state_dict(load_model(backbone).state_dict())
        shared = load_shared_prompt(backbone)
        for index, (stack, layer) in enumerate(places(self.model.config)):
            self.prompts.keys[:, index] = shared[str(TensorName(stack, layer, PROMPT, "key"))]
            self.prompts.values[:, index] = shared[str(TensorName(stack, layer, PROMPT, "value"))]


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
    start: Backbone | None = None,
) -> Iterator[dict[str, Any]]:
    """Trains, resuming from `folder/checkpoint.safetensors` where there is one, else from `start` or from nothing.

    Yields an event every 20 steps and evaluation, in the first process only. Raises UsageError for batches that the
    processes cannot share.
    """
    processes = Processes.join()
    numbers = processes.share(settings.batches_per_step)
    languages = sorted({utterance.language for utterance in corpus.utterances})
    torch.manual_seed(settings.seed)
    task = Pretraining(config, settings, len(languages))
    if start is not None:
        task.start_from(start)
    task.to(device.torch_device)
    optimizer = torch.optim.AdamW(
        task.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=settings.weight_decay, fused=True
    )
    progress = {"step": 0, "audio_seconds": 0.0, "seconds": 0.0}
    if (folder / CHECKPOINT).exists():
        progress = load_checkpoint(folder / CHECKPOINT, task, optimizer)
    batches = Batches(corpus, vocabulary, settings.sampling, noises, languages, settings.seed)
    held_out = [clip for clip in corpus.utterances if clip.label and clip.held_out]
    started = time.monotonic() - progress["seconds"]
    waited = 0.0
    steps = range(int(progress["step"]), settings.steps)
    sampler = [step * settings.batches_per_step + number for step in steps for number in numbers]
    loader = iter(
        DataLoader(
            batches,
            batch_size=None,
            sampler=sampler,
            num_workers=_loaders(device, processes),
            prefetch_factor=4,
            pin_memory=device.torch_device.type == "cuda",
        )
    )
    for step in steps:
        before = time.monotonic()
        mine = [(step * settings.batches_per_step + number, next(loader)) for number in numbers]
        waited += time.monotonic() - before
        losses, seconds = _step(task, optimizer, mine, settings, step, device, processes)
        progress["audio_seconds"] += seconds
        progress |= {"step": step + 1, "seconds": time.monotonic() - started}
        if not processes.first:
            continue
        if (step + 1) % EVENT_STEPS == 0:
            yield {"event": "step", **progress, **losses, "waited_seconds": waited}
        if (step + 1) % settings.evaluate_every == 0 or step + 1 == settings.steps:
            save_checkpoint(folder / CHECKPOINT, task, optimizer, progress)
            yield {"event": "evaluation", **progress, **evaluate(task, held_out, batches, device)}


def _loaders(device: Device, processes: Processes) -> int:
    """How many processes make batches: one keeps pace with a CPU, a GPU needs all the cores that there are."""
    if device.torch_device.type == "cpu":
        return 1
    return max(1, (os.cpu_count() or 1) // processes.count - 1)


def _step(
    task: Pretraining,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[tuple[int, Batch]],
    settings: PretrainSettings,
    step: int,
    device: Device,
    processes: Processes,
) -> tuple[dict[str, float], float]:
    """One optimiser step over this process's numbered batches and those of the others; losses and seconds of all."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, settings)
    task.train()
    torch.manual_seed(settings.seed * 1_000_003 + step)
    bare = bool(torch.rand(()) < settings.bare_share)  # of the whole step: all processes must agree
    optimizer.zero_grad(set_to_none=True)
    sums = torch.zeros(3, dtype=torch.float64)
    for number, batch in batches:
        torch.manual_seed(settings.seed * 1_000_003 + number + 1)
        losses = _losses(task, batch, settings, device, bare)
        (losses.total / settings.batches_per_step).backward()  # type: ignore[no-untyped-call]
        seconds = float(batch.lengths.sum()) / SAMPLE_RATE
        sums += torch.tensor([losses.ctc.item(), losses.attention.item(), seconds], dtype=torch.float64)
    processes.add_up([parameter.grad for parameter in task.parameters() if parameter.grad is not None], sums)
    norm = nn.utils.clip_grad_norm_(task.parameters(), settings.clip_norm)
    if torch.isfinite(norm):
        optimizer.step()
    ctc, attention, seconds = sums.tolist()
    count = settings.batches_per_step
    return {"ctc": ctc / count, "attention": attention / count, "gradient_norm": norm.item()}, seconds


def _losses(task: Pretraining, batch: Batch, settings: PretrainSettings, device: Device, bare: bool) -> Losses:
    target = device.torch_device
    rows = torch.where(torch.rand(len(batch.languages)) < settings.shared_share, SHARED, batch.languages).to(target)
    first = int(torch.randint(0, FARTHEST_START, ()))
    with device.autocast():
        handles = NO_HANDLES if bare else task.prompts(task.model, rows)
        waveform, lengths, labels = batch.waveform.to(target), batch.lengths.to(target), batch.labels.to(target)
        frames = task.model.encoder.embed(waveform, lengths, first, settings.masks)
        encoded = task.model.encoder(frames, handles)
        return joint_loss(task.model, encoded, labels, handles, settings.ctc_weight, settings.smoothing)


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
        batch = collate(waveforms, [clip.label for clip in clips], [SHARED] * len(clips), batches.vocabulary)
        with device.autocast():
            handles = task.prompts(task.model, batch.languages.to(device.torch_device))
            frames = task.model.encoder.embed(
                batch.waveform.to(device.torch_device), batch.lengths.to(device.torch_device)
            )
            encoded = task.model.encoder(frames, handles)
            logits = task.model.ctc_logits(encoded, handles)
        assert logits is not None
        guesses = best_paths(logits.values.float().cpu().numpy(), logits.lengths.cpu().numpy(), forbidden=())
        for row, (clip, guess) in enumerate(zip(clips, guesses, strict=True)):
            label = batch.labels.tokens[row, : int(batch.labels.lengths[row])].tolist()
            for key in (clip.source, f"{clip.source}/{clip.language}"):
                total = errors.setdefault(key, [0, 0])
                total[0] += Levenshtein.distance(guess.tolist(), label)
                total[1] += len(label)
    return {"symbol_error_rate": {key: round(wrong / count, 4) for key, (wrong, count) in sorted(errors.items())}}


def finish(
    folder: Path,
    backbone: Path,
    config: ModelConfig,
    vocabulary: Vocabulary,
    *,
    name: str,
    languages: tuple[str, ...],
    licence: str,
) -> None:
    """Writes the checkpoint's network and the prompt that all languages share as a backbone folder, in float16.

    Raises UsageError where `folder` holds no checkpoint.
    """
    if not (folder / CHECKPOINT).exists():
        raise UsageError(f"{folder} holds no checkpoint yet: train with `lect pretrain run` first.")
    weights = load_weights(folder / CHECKPOINT)
    rows, _, length, _ = weights["prompts.keys"].shape
    task = Pretraining(config, PretrainSettings(steps=0, prompt_length=length), rows - 1)
    task.load_state_dict(weights)
    shared = {}
    for index, (stack, layer) in enumerate(places(config)):
        shared[str(TensorName(stack, layer, PROMPT, "key"))] = task.prompts.keys[SHARED, index]
        shared[str(TensorName(stack, layer, PROMPT, "value"))] = task.prompts.values[SHARED, index]
    save_backbone(backbone, name, task.model, vocabulary, languages=languages, licence=licence, shared_prompt=shared)
