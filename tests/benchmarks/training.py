"""CPU seconds of an optimiser step: prompts with the feature cache, the same without it, and full fine-tuning.

`python -m tests.benchmarks.training FOLDER [--small]` prints JSON. Steps are real ones (engine/training's batches,
state and features, augmented copies among them), the three systems take turns, and CPU seconds count every thread, so
that a busy machine changes little.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

from lect.engine.audio.writing import write_wav
from lect.engine.contract.adaptation_spec import AdaptationSpec
from lect.engine.contract.files import sha256_file
from lect.engine.contract.model_config import ModelConfig
from lect.engine.contract.train_settings import TrainSettings
from lect.engine.model.device import choose_device
from lect.engine.text.vocabulary_building import build_vocabulary
from lect.engine.training.features import Example, FeatureCache
from lect.engine.training.state import TrainState, make_state
from lect.engine.training.train import TrainData, rate, step_batch
from tests.benchmarks.material import CLIP_SECONDS, PLACEMENT, STARTER_SHAPE, random_backbone, ten_seconds

WARM_UP_STEPS = 2  # memory is allocated and kernels are compiled in them
LABEL = "sisi wenyewe tukiwa watumishi wenu kwa ajili ya yesu kwa maana duniani pote sisi wenyewe tukiwa watumishi we"
CACHED, UNCACHED, FULL = "prompts, cached", "prompts, not cached", "full fine-tuning"
PROMPT = TrainSettings(spec=AdaptationSpec(placement=PLACEMENT))
SYSTEMS = {
    CACHED: PROMPT,
    UNCACHED: replace(PROMPT, cache=False),
    FULL: replace(PROMPT, spec=AdaptationSpec("finetune"), learning_rate=1e-4),
}


@dataclass(frozen=True)
class Shape:
    """A backbone to measure, and how long."""

    config: ModelConfig
    batch: int  # clips of CLIP_SECONDS a step
    steps: int  # measured, of each system
    promised: dict[str, str]


FULL_RATIO, UNCACHED_RATIO = "full fine-tuning / cached", "not cached / cached"
SHAPES = {
    "starter": Shape(STARTER_SHAPE, 8, 8, {FULL_RATIO: ">= 6 x"}),
    "wav2seq-base": Shape(
        ModelConfig(
            1000, 768, 12, 3072, 12, 6, "waveform",
            encoder_norm_first=False, decoder_norm_first=False, encoder_positions="convolutional", ctc=False,
        ),
        2, 2, {},
    ),
}  # fmt: skip


def measure(folder: Path, name: str, shape: Shape) -> dict[str, Any]:
    """The three systems side by side on one backbone."""
    backbone = random_backbone(folder / name, name, shape.config)
    data, device = clips(folder / name / "clips", shape.batch), choose_device("cpu")
    states = {
        system: make_state(
            replace(settings, per_device_train_batch_size=shape.batch),
            backbone,
            data.vocabulary,
            device,
            FeatureCache(folder / name / "cache") if settings.cache and not settings.spec.trains_backbone else None,
        )
        for system, settings in SYSTEMS.items()
    }
    copies = range(PROMPT.copies)
    filling = cpu_seconds(lambda: list(states[CACHED].features.prepare(data.train, copies))) / len(copies)
    spent: dict[str, list[float]] = {system: [] for system in SYSTEMS}
    for step in range(WARM_UP_STEPS + shape.steps):
        for system, state in states.items():
            spent[system].append(cpu_seconds(partial(take, state, SYSTEMS[system], data, step)))
        print(f"{name}: step {step + 1} of {WARM_UP_STEPS + shape.steps}", file=sys.stderr)
    medians = {system: median(seconds[WARM_UP_STEPS:]) for system, seconds in spent.items()}
    return {
        "batch": shape.batch,
        "clip_seconds": CLIP_SECONDS,
        "device": device.name,
        "precision": device.precision,
        "parameters": sum(parameter.numel() for parameter in states[CACHED].model.parameters()),
        "steps": shape.steps,
        "cpu_seconds_per_step": medians,
        "cpu_seconds_filling_a_batch": filling,
        "ratios": {
            FULL_RATIO: medians[FULL] / medians[CACHED],
            UNCACHED_RATIO: medians[UNCACHED] / medians[CACHED],
        },
        "promised": shape.promised,
    }


def take(state: TrainState, settings: TrainSettings, data: TrainData, step: int) -> None:
    """One step as engine/training/train.py takes it."""
    torch.manual_seed(settings.seed * 1_000_003 + step)
    examples, copies = step_batch(settings, data.train, step)
    state.step(examples, copies, rate(settings, step, 1000), settings.max_grad_norm)


def clips(folder: Path, count: int) -> TrainData:
    """Clips of ten seconds, with a label as dense as speech."""
    vocabulary = build_vocabulary([LABEL], kind="grapheme")
    examples = []
    for number in range(count):
        path = folder / f"{number}.wav"
        write_wav(path, ten_seconds(number))
        examples.append(Example(sha256_file(path), path, CLIP_SECONDS, tuple(vocabulary.encode(LABEL))))
    return TrainData(vocabulary, examples, [], [])


def cpu_seconds(work: Callable[[], object]) -> float:
    """Of all threads of this process."""
    before = time.process_time()
    work()
    return time.process_time() - before


def main() -> None:
    """All shapes, or the starter's alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--small", action="store_true")
    args = parser.parse_args()
    shapes = {"starter": replace(SHAPES["starter"], steps=3)} if args.small else SHAPES
    print(json.dumps({name: measure(args.folder, name, shape) for name, shape in shapes.items()}))


if __name__ == "__main__":
    main()
