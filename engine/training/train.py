"""Training an adaptation: a generator of small events, written out from first to last.

Randomness is a function of (seed, step), state is in one checkpoint, and the best result so far is a file of its own;
so a run can be stopped at any moment, resumed to the result of an unbroken one, or ended early with the best kept. It
does not know projects, databases or pages: it is handed examples and a folder, and yields events.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lect.engine.contract.errors import TrainError
from lect.engine.model.adaptations import Adaptation, AdaptationSpec, NewVocabulary, make_adaptation
from lect.engine.model.backbone import Backbone
from lect.engine.model.device import Device
from lect.engine.model.handles import NO_HANDLES
from lect.engine.model.network import ModelConfig
from lect.engine.model.weights import load_model, load_shared_prompt, save_tensors
from lect.engine.text.vocabulary import Vocabulary
from lect.engine.training.augment import Augmentation
from lect.engine.training.checkpoint import load_checkpoint, save_checkpoint
from lect.engine.training.features import Example, FeatureCache, FeatureSource
from lect.engine.training.learner import Learner, character_error_rate, constant_below, frozen_hash

BEST = "best.safetensors"
CHECKPOINT = "checkpoint.safetensors"
SORTED_BATCHES = 8  # batches cut by length from clips drawn together
SHOWN_TEXTS = 4  # dev clips whose text each evaluation shows
LEARNING_RATES = {"prompt": 1e-2, "adapter": 2e-3, "lora": 2e-3, "vocabulary": 0.0, "finetune": 3e-4, "scratch": 1e-3}

Event = dict[str, Any]


@dataclass(frozen=True)
class TrainSettings:
    """One training. Names follow Hugging Face's TrainingArguments and PEFT where they have one."""

    spec: AdaptationSpec = field(default_factory=AdaptationSpec)
    learning_rate: float = 0.0  # peak, of all but the vocabulary; 0: LEARNING_RATES of the method
    vocabulary_learning_rate: float = 3e-3  # new embedding and CTC head
    max_steps: int = 0  # 0: by the size of the set
    per_device_train_batch_size: int = 8
    warmup_ratio: float = 0.05
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    early_stopping_patience: int = 8  # evaluations without a better dev score
    evaluations: int = 20  # over the whole run
    # 0 for labels in another order than they are said, which CTC cannot learn. On a backbone without a CTC head there
    # is no such loss, at any weight.
    ctc_weight: float = 0.5
    label_smoothing_factor: float = 0.1
    copies: int = 6  # of each clip: the recording itself and random variants
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    cache: bool = True
    gradient_checkpointing: bool = False  # from the first step on; else once memory does not suffice

    @property
    def peak(self) -> float:
        """The learning rate at its highest, of all but the vocabulary."""
        return self.learning_rate or LEARNING_RATES[self.spec.method]

    def steps(self, clips: int) -> int:
        """Optimiser steps for a set of this size."""
        return self.max_steps or min(3000, max(300, 60 * self.batches(clips)))

    def batches(self, clips: int) -> int:
        """Batches an epoch."""
        return math.ceil(clips / self.per_device_train_batch_size)


@dataclass(frozen=True)
class TrainData:
    """What a run learns from and is chosen by."""

    vocabulary: Vocabulary
    train: Sequence[Example]
    dev: Sequence[Example]
    dev_texts: Sequence[str]  # normalised labels of dev


@dataclass
class Progress:
    """Where a run stands: what its checkpoint holds beside tensors."""

    step: int = 0
    best_step: int = -1
    best_cer: float = math.inf
    worse_evaluations: int = 0  # since the best
    seconds: float = 0.0


def train(
    settings: TrainSettings,
    backbone: Backbone,
    data: TrainData,
    folder: Path,
    device: Device,
    cache: FeatureCache | None = None,
    *,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Trains into `folder` (best.safetensors, checkpoint.safetensors); yields events, the last one "end".

    Raises TrainError when the loss is no number, memory does not hold one clip, a label is longer than the decoder can
    read, or frozen weights changed.
    """
    check_labels(backbone, data)
    learner = make_learner(settings, backbone, data, device, cache if settings.cache else None)
    frozen = frozen_hash(learner.model)
    progress = Progress()
    total = settings.steps(len(data.train))
    evaluate_every = max(10, total // settings.evaluations)
    batch_size = settings.per_device_train_batch_size

    yield _start_event(settings, data, learner, device, total)
    if resume and (folder / CHECKPOINT).exists():
        progress = Progress(**load_checkpoint(folder / CHECKPOINT, learner.adaptation, learner.optimizer))
    else:
        texts = learner.recognize(data.dev, NO_HANDLES, backbone.vocabulary.starting_as(data.vocabulary), batch_size)
        yield {"event": "base", "dev_cer": character_error_rate(texts, data.dev_texts)}
    for done, clips in learner.features.prepare(data.train, range(settings.copies)):
        yield {"event": "features", "done": done, "total": clips}

    began, first_step, seconds_before = time.monotonic(), progress.step, progress.seconds
    while progress.step < total and progress.worse_evaluations < settings.early_stopping_patience and not stop():
        torch.manual_seed(settings.seed * 1_000_003 + progress.step)
        examples, copies = step_batch(settings, data.train, progress.step)
        losses = learner.step(examples, copies, rate(settings, progress.step, total), settings.max_grad_norm)
        if not math.isfinite(losses["loss"]):
            raise TrainError("The loss is no longer a number: lower --learning-rate and train again.")
        progress.step += 1
        spent = time.monotonic() - began
        progress.seconds = seconds_before + spent
        left = spent / (progress.step - first_step) * (total - progress.step)
        yield {"event": "step", "step": progress.step, **losses, "seconds": progress.seconds, "seconds_left": left}
        if progress.step % evaluate_every == 0 or progress.step == total:
            yield _evaluate(learner, data, folder, progress, batch_size)
    if progress.best_step < 0:  # stopped before the first evaluation
        yield _evaluate(learner, data, folder, progress, batch_size)
    if frozen_hash(learner.model) != frozen:
        raise TrainError("Weights that must stay frozen have changed: this result is not to be used; please report it.")
    yield {"event": "end", **asdict(progress), "frozen_sha256": frozen, "stopped": progress.step < total}


def check_labels(backbone: Backbone, data: TrainData) -> None:
    """Raises TrainError for a label that does not fit into the positions that the decoder has learnt."""
    positions = ModelConfig.from_json(backbone.model).decoder_positions
    room = positions - len(data.vocabulary.start) if positions else math.inf
    longest = max(data.train, key=lambda example: len(example.tokens), default=None)
    if longest is not None and len(longest.tokens) > room:
        raise TrainError(
            f"The label of {longest.path.name} has {len(longest.tokens)} symbols, and backbone {backbone.name!r} can "
            f"read {room}: cut the clip in two."
        )


def make_learner(
    settings: TrainSettings, backbone: Backbone, data: TrainData, device: Device, cache: FeatureCache | None
) -> Learner:
    """The frozen backbone with a fresh adaptation, seeded."""
    torch.manual_seed(settings.seed)
    model = load_model(backbone)
    if settings.gradient_checkpointing:
        model.checkpoint_gradients()
    adaptation = make_adaptation(
        settings.spec, model, backbone.vocabulary, data.vocabulary, load_shared_prompt(backbone)
    ).to(device.torch_device)
    model.to(device.torch_device)
    layer = constant_below(adaptation, model)
    features = FeatureSource(model, backbone.sha256, layer, settings.augmentation, cache, device)
    return Learner(
        model,
        adaptation,
        features,
        make_optimizer(adaptation, settings),
        device,
        settings.ctc_weight,
        settings.label_smoothing_factor,
        data.vocabulary.start,
    )


def make_optimizer(adaptation: Adaptation, settings: TrainSettings) -> torch.optim.Optimizer:
    """AdamW.

    The vocabulary has a rate of its own, and prompts no decay (it would pull them out of their layers' range).
    """
    parts = [part for part in adaptation.parts if isinstance(part, NewVocabulary)]
    vocabulary = {id(parameter) for part in parts for parameter in part.parameters()}
    learning = [parameter for parameter in adaptation.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learning if id(p) in vocabulary], "peak": settings.vocabulary_learning_rate},
        {"params": [p for p in learning if id(p) not in vocabulary], "peak": settings.peak},
    ]
    decay = 0.0 if adaptation.spec.method == "prompt" else settings.weight_decay
    groups[1]["weight_decay"] = decay
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), weight_decay=settings.weight_decay)


def rate(settings: TrainSettings, step: int, total: int) -> float:
    """Warm-up, then half a cosine down to a twentieth: a share of the peak learning rate."""
    warmup = max(1, int(settings.warmup_ratio * total))
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    return 0.05 + 0.95 * (1 + math.cos(math.pi * done)) / 2


def step_batch(settings: TrainSettings, examples: Sequence[Example], step: int) -> tuple[list[Example], list[int]]:
    """The clips of a step and which copy of each: the recordings themselves in the first epoch, any copy later."""
    epoch, place = divmod(step, settings.batches(len(examples)))
    rng = np.random.default_rng([settings.seed, epoch])
    batches = _batches_by_length([example.seconds for example in examples], settings.per_device_train_batch_size, rng)
    chosen = batches[place]
    copies = rng.integers(settings.copies if epoch else 1, size=len(examples))
    return [examples[index] for index in chosen], [int(copies[index]) for index in chosen]


def _batches_by_length(seconds: Sequence[float], size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Every index once, in batches of clips of like length, in random order."""
    order = rng.permutation(len(seconds))
    pool = size * SORTED_BATCHES
    pools = [order[start : start + pool] for start in range(0, len(order), pool)]
    by_length = [clips[np.argsort(np.asarray(seconds)[clips], kind="stable")] for clips in pools]
    batches = [clips[start : start + size] for clips in by_length for start in range(0, len(clips), size)]
    return [batches[index] for index in rng.permutation(len(batches))]


def _start_event(settings: TrainSettings, data: TrainData, learner: Learner, device: Device, total: int) -> Event:
    return {
        "event": "start",
        "settings": asdict(settings),
        "device": device.name,
        "precision": device.precision,
        "steps": total,
        "train_clips": len(data.train),
        "train_seconds": sum(example.seconds for example in data.train),
        "dev_clips": len(data.dev),
        "trained_parameters": learner.adaptation.trained_parameters(),
        "constant_below_layer": learner.features.layer,
    }


def _evaluate(learner: Learner, data: TrainData, folder: Path, progress: Progress, batch_size: int) -> Event:
    """Scores dev, keeps the best, and writes the checkpoint.

    Best first, so that a checkpoint never names one not written.
    """
    handles = learner.adaptation.handles(learner.model)
    texts = learner.recognize(data.dev, handles, data.vocabulary, batch_size)
    cer = character_error_rate(texts, data.dev_texts)
    if cer < progress.best_cer:
        save_tensors(folder / BEST, learner.result())
        progress.best_cer, progress.best_step, progress.worse_evaluations = cer, progress.step, 0
    else:
        progress.worse_evaluations += 1
    save_checkpoint(folder / CHECKPOINT, learner.adaptation, learner.optimizer, asdict(progress))
    shown = [{"text": text, "label": label} for text, label in zip(texts, data.dev_texts, strict=True)]
    return {"event": "evaluation", **asdict(progress), "dev_cer": cer, "texts": shown[:SHOWN_TEXTS]}
