"""Seconds of an optimiser step on one Whisper shape: Lect, transformers, and transformers with PEFT's LoRA.

`python -m tests.benchmarks.peft_training FOLDER` prints JSON. Random weights, the same clips, labels,
precision and threads; the systems take turns in one process. transformers is given features that were computed before,
as its recipes do; Lect reads its own cache where the placement leaves something constant.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn

from lect.engine.audio.reading import load_audio
from lect.engine.audio.writing import write_wav
from lect.engine.contract.adaptation_spec import AdaptationSpec
from lect.engine.contract.files import sha256_file
from lect.engine.contract.train_settings import TrainSettings
from lect.engine.model.backbone import Backbone, open_backbone
from lect.engine.model.device import Device, choose_device
from lect.engine.model.foreign import read_foreign
from lect.engine.model.weights import save_backbone
from lect.engine.runs.recipe import JOINT, NEW_HEAD
from lect.engine.text.vocabulary import Vocabulary
from lect.engine.training.features import Example, FeatureCache
from lect.engine.training.state import make_state
from lect.engine.training.train import TrainData
from tests.benchmarks.material import CLIP_SECONDS, ten_seconds
from tests.benchmarks.training import WARM_UP_STEPS, take
from tests.benchmarks.whisper_shapes import END, SIZES, START, TOKENS, tokens, write_whisper

RANK, RATE = 16, 1e-3
EVERYWHERE, UPPER = "e:all,d:all", "e:last3,d:all"
PEFT_LORA, PEFT_FULL = "PEFT LoRA, everywhere", "transformers, full fine-tuning"
BY_DEFAULT = "Lect by default, cached: the last encoder layers whole, adapters in the decoder, letters, no window"
CTC_ALONE = "Lect for commands, cached: the last encoder layers whole, CTC alone, no window"
LETTERS = Vocabulary("grapheme", tuple(" abcdefghijklmnopqrstuvwxyz"))
LETTERS_SAID = 140  # in ten seconds
OURS = {
    f"Lect prompts, {EVERYWHERE}": AdaptationSpec(placement=EVERYWHERE),
    f"Lect prompts, {UPPER}, cached": AdaptationSpec(placement=UPPER),
    "Lect prompts, d:all, cached": AdaptationSpec(placement="d:all"),
    f"Lect LoRA, {EVERYWHERE}": AdaptationSpec("lora", rank=RANK, placement=EVERYWHERE),
    f"Lect LoRA, {UPPER}, cached": AdaptationSpec("lora", rank=RANK, placement=UPPER),
    "Lect, full fine-tuning": AdaptationSpec("finetune"),
}
Step = Callable[[int], object]


def measure(folder: Path, size: str, batch: int, steps: int) -> dict[str, Any]:
    """All systems on one shape."""
    checkpoint, device = write_whisper(folder / size, size), choose_device("cpu")
    backbone = _backbone(folder / f"{size}-lect", checkpoint)
    data = _data(folder / "clips", backbone, batch)
    systems = {name: _ours(spec, backbone, data, device, folder / "cache") for name, spec in OURS.items()}
    for name, recipe in ((BY_DEFAULT, JOINT), (CTC_ALONE, NEW_HEAD)):
        systems[name] = _of_letters(recipe, backbone, data, device, folder / "cache")
    systems |= _theirs(checkpoint, data, device)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in systems}
    for step in range(WARM_UP_STEPS + steps):
        for name, one in systems.items():
            spent[name].append(_seconds(partial(one, step)))
        print(f"{size}: step {step + 1} of {WARM_UP_STEPS + steps}", file=sys.stderr)
    wall, cpu = ({name: median(each[at] for each in spent[name][WARM_UP_STEPS:]) for name in spent} for at in (0, 1))
    against = PEFT_LORA if PEFT_LORA in cpu else PEFT_FULL
    return {
        "batch": batch,
        "clip_seconds": CLIP_SECONDS,
        "label_tokens": TOKENS,
        "threads": torch.get_num_threads(),
        "precision": device.precision,
        "steps": steps,
        "seconds_per_step": wall,
        "cpu_seconds_per_step": cpu,
        "against": against,
        "ratios": {name: cpu[against] / seconds for name, seconds in cpu.items()},
        "not_installed": [] if find_spec("peft") else ["peft"],
    }


def _backbone(folder: Path, checkpoint: Path) -> Backbone:
    foreign = read_foreign(checkpoint)
    save_backbone(folder, folder.name, foreign.model, foreign.vocabulary, languages=(), licence="CC0-1.0")
    return open_backbone(str(folder))


def _data(folder: Path, backbone: Backbone, count: int) -> TrainData:
    """Clips of ten seconds, each labelled with as many tokens as are said in them."""
    examples = []
    for number in range(count):
        path = folder / f"{number}.wav"
        write_wav(path, ten_seconds(number))
        label = tuple(range(300 + number, 300 + number + TOKENS))
        examples.append(Example(sha256_file(path), path, CLIP_SECONDS, label))
    return TrainData(backbone.vocabulary, examples, [], [])


def _ours(spec: AdaptationSpec, backbone: Backbone, data: TrainData, device: Device, cache: Path) -> Step:
    settings = TrainSettings(spec, RATE, per_device_train_batch_size=len(data.train), copies=1, ctc_weight=0.0)
    return _stepping(settings, backbone, data, device, cache)


def _of_letters(recipe: TrainSettings, backbone: Backbone, data: TrainData, device: Device, cache: Path) -> Step:
    """What `lect train` does on a Whisper: a recipe of its, on the letters of the labels."""
    settings = replace(recipe, per_device_train_batch_size=len(data.train), copies=1)
    said = tuple(4 + letter % len(LETTERS.symbols) for letter in range(LETTERS_SAID))
    spelled = [replace(example, tokens=said) for example in data.train]
    return _stepping(settings, backbone, TrainData(LETTERS, spelled, [], []), device, cache)


def _stepping(settings: TrainSettings, backbone: Backbone, data: TrainData, device: Device, cache: Path) -> Step:
    state = make_state(settings, backbone, data.vocabulary, device, FeatureCache(cache))
    if state.features.layer is not None:
        list(state.features.prepare(data.train, range(1)))
    return lambda step: take(state, replace(settings, max_steps=1000), data, step)


def _theirs(checkpoint: Path, data: TrainData, device: Device) -> dict[str, Step]:
    """The same with transformers, features computed before; with PEFT where it is installed."""
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

    names = tokens()
    prompt = [names[f"<|{each}|>"] for each in ("en", "transcribe", "notimestamps")]
    labels = torch.tensor([[*prompt, *example.tokens, END] for example in data.train])
    waveforms = [load_audio(example.path) for example in data.train]
    extractor = WhisperFeatureExtractor.from_pretrained(checkpoint)
    features = extractor(waveforms, sampling_rate=16_000, return_tensors="pt").input_features
    inputs = {"input_features": features, "labels": labels}

    def system(lora: bool) -> Step:
        model = WhisperForConditionalGeneration.from_pretrained(checkpoint)
        model.config.decoder_start_token_id = START
        model.config.use_cache = False
        if lora:
            from peft import LoraConfig, get_peft_model

            model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=RANK, target_modules=["q_proj", "v_proj"]))
        model.train()
        learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
        return partial(_step, model, torch.optim.AdamW(learning, lr=RATE), learning, inputs, device)

    return {PEFT_FULL: system(lora=False), **({PEFT_LORA: system(lora=True)} if find_spec("peft") else {})}


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    learning: list[nn.Parameter],
    inputs: dict[str, torch.Tensor],
    device: Device,
    number: int,
) -> None:
    optimizer.zero_grad(set_to_none=True)
    with device.autocast():
        loss = model(**inputs).loss
    loss.backward()
    nn.utils.clip_grad_norm_(learning, 1.0)
    optimizer.step()


def _seconds(work: Callable[[], object]) -> tuple[float, float]:
    """On the clock, and of all threads of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """The shapes that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shapes", nargs="+", choices=SIZES, default=["whisper-base", "whisper-small"])
    parser.add_argument("--batch", type=int, default=2, help="clips a step")
    parser.add_argument("--steps", type=int, default=3, help="that count")
    args = parser.parse_args()
    print(json.dumps({size: measure(args.folder, size, args.batch, args.steps) for size in args.shapes}))


if __name__ == "__main__":
    main()
