"""Training an adaptation: a generator of small events, written out from first to last.

Randomness is a function of (seed, step), state is in one checkpoint, and the best result so far is a file of its own;
so a run can be stopped at any moment, resumed to the result of an unbroken one, or ended early with the best kept. It
does not know projects, databases or pages: it is handed examples and a folder, and yields events.
"""

import math
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..contract.errors import TrainError
from ..contract.events import (
    BaseScored,
    Ended,
    Evaluated,
    Event,
    FeaturesReady,
    ShownText,
    Started,
    Stepped,
)
from ..contract.run_files import RunFiles
from ..contract.train_settings import TrainSettings
from ..model.backbone import Backbone
from ..model.handles import NO_HANDLES, Handles
from ..model.weights import save_tensors
from ..scoring.edit_distance import character_error_rate
from ..text.vocabulary import Vocabulary
from .checkpoint import load_checkpoint, save_checkpoint
from .features import Example
from .packing import packed
from .state import TrainState, frozen_hash

SORTED_BATCHES = 8  # batches cut by length from clips drawn together
SHOWN_TEXTS = 4  # dev clips whose text each evaluation shows


@dataclass(frozen=True)
class TrainData:
    """What a run learns from and is chosen by."""

    vocabulary: Vocabulary
    train: Sequence[Example]
    dev: Sequence[Example]
    dev_texts: Sequence[str]  # normalised labels of dev
    normalise: Callable[[str], str] = str  # what was done to these, and is done to what is compared with them

    def packed(self, settings: TrainSettings, backbone: Backbone) -> "TrainData":
        """The same, with the clips of train as `settings` has them packed into the backbone's windows."""
        if not settings.packings:
            return self
        window = settings.window_seconds or backbone.config.mel_window_seconds
        room = label_room(backbone, self.vocabulary)
        return replace(self, train=packed(self.train, window, room, settings.packings, settings.seed))


@dataclass
class Progress:
    """Where a run stands: what its checkpoint holds beside tensors."""

    step: int = 0
    best_step: int = -1
    best_cer: float = math.inf
    worse_evaluations: int = 0  # since the best
    seconds: float = 0.0


def train(
    state: TrainState,
    settings: TrainSettings,
    data: TrainData,
    folder: Path,
    *,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Generator[Event, None, Ended]:
    """Trains a fresh `state` into a run's folder (`RunFiles.best`, `RunFiles.checkpoint`).

    Yields events; the last one, `Ended`, is returned as well. Raises TrainError when the loss is no number, memory does
    not hold one clip, a label is longer than the decoder can read, or frozen weights changed.
    """
    check_labels(state.backbone, data)
    files, own = RunFiles(folder), state.backbone.vocabulary.starting_as(data.vocabulary)
    frozen = frozen_hash(state.model)
    progress = Progress()
    total = settings.steps(len(data.train))
    evaluate_every = max(10, total // settings.evaluations)
    batch_size = settings.per_device_train_batch_size

    yield _started(settings, data, state, total)
    if resume and files.checkpoint.exists():
        progress = Progress(**load_checkpoint(files.checkpoint, state.adaptation, state.optimizer))
    elif settings.window_seconds is None:  # in another window than it was made for, a bare backbone says little
        texts = [data.normalise(text) for text in state.decode(data.dev, NO_HANDLES, own, batch_size)]
        yield BaseScored(character_error_rate(texts, data.dev_texts))
    for done, clips, kept in state.features.prepare(data.train, range(settings.copies)):
        yield FeaturesReady(done, clips, kept)
    if progress.step == 0:
        batches = [step_batch(settings, data.train, step)[0] for step in range(settings.head_steps)]
        state.learn_head(batches, settings.head_learning_rate, settings.max_grad_norm)

    began, first_step, seconds_before = time.monotonic(), progress.step, progress.seconds
    while progress.step < total and progress.worse_evaluations < settings.early_stopping_patience and not stop():
        torch.manual_seed(settings.seed * 1_000_003 + progress.step)
        examples, copies = step_batch(settings, data.train, progress.step)
        losses = state.step(examples, copies, rate(settings, progress.step, total), settings.max_grad_norm)
        if not math.isfinite(losses["loss"]):
            raise TrainError("The loss is no longer a number: lower --learning-rate and train again.")
        progress.step += 1
        spent = time.monotonic() - began
        progress.seconds = seconds_before + spent
        left = spent / (progress.step - first_step) * (total - progress.step)
        yield Stepped(progress.step, **losses, seconds=progress.seconds, seconds_left=left)
        if progress.step % evaluate_every == 0 or progress.step == total:
            yield _evaluate(state, data, files, progress, batch_size)
    if progress.best_step < 0:  # stopped before the first evaluation
        yield _evaluate(state, data, files, progress, batch_size)
    if frozen_hash(state.model) != frozen:
        raise TrainError("Weights that must stay frozen have changed: this result is not to be used; please report it.")
    end = Ended(**asdict(progress), frozen_sha256=frozen, stopped=progress.step < total)
    yield end
    return end


def check_labels(backbone: Backbone, data: TrainData) -> None:
    """Raises TrainError for a label that does not fit into the positions that the decoder has learnt."""
    room = label_room(backbone, data.vocabulary)
    longest = max(data.train, key=lambda example: len(example.tokens), default=None)
    if longest is not None and len(longest.tokens) > room:
        raise TrainError(
            f"The label of {longest.path.name} has {len(longest.tokens)} symbols, and backbone {backbone.name!r} can "
            f"read {room}: cut the clip in two."
        )


def label_room(backbone: Backbone, vocabulary: Vocabulary) -> int:
    """How many tokens a label may have."""
    positions = backbone.config.decoder_positions
    return positions - len(vocabulary.start) if positions else sys.maxsize


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


def _started(settings: TrainSettings, data: TrainData, state: TrainState, total: int) -> Started:
    return Started(
        settings=asdict(settings),
        device=state.device.name,
        precision=state.device.precision,
        steps=total,
        train_clips=sum(1 + len(example.more) for example in data.train) // max(1, settings.packings),
        train_seconds=sum(example.seconds for example in data.train) / max(1, settings.packings),
        dev_clips=len(data.dev),
        trained_parameters=state.adaptation.trained_parameters(),
        constant_below_layer=state.features.layer,
    )


def _evaluate(state: TrainState, data: TrainData, files: RunFiles, progress: Progress, batch_size: int) -> Evaluated:
    """Scores dev, keeps the best, and writes the checkpoint.

    Best first, so that a checkpoint never names one not written.
    """
    tensors = state.adaptation.tensors(state.model)  # as they will be stored
    decoded = state.decode(data.dev, Handles.from_tensors(tensors), data.vocabulary, batch_size)
    texts = [data.normalise(text) for text in decoded]
    cer = character_error_rate(texts, data.dev_texts)
    if cer < progress.best_cer:
        save_tensors(files.best, state.result(tensors))
        progress.best_cer, progress.best_step, progress.worse_evaluations = cer, progress.step, 0
    else:
        progress.worse_evaluations += 1
    save_checkpoint(files.checkpoint, state.adaptation, state.optimizer, asdict(progress))
    pairs = zip(texts[:SHOWN_TEXTS], data.dev_texts, strict=False)
    return Evaluated(**asdict(progress), dev_cer=cer, texts=tuple(ShownText(text, label) for text, label in pairs))
