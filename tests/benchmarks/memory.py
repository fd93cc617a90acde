"""The most memory that training takes, with gradient checkpointing and without, a fresh process for each figure.

`python -m tests.benchmarks.memory FOLDER [SHAPE…]` prints a table. Steps are real ones, on clips of ten seconds
(which a Whisper hears as thirty); weights mean nothing. Memory is what the process has resident at most, libraries and
weights included, from the first step on: reading the backbone holds its weights twice for a moment. On Linux alone.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lect.app.output import table
from tests import ROOT

BATCH = 4  # clips a step
STEPS = 2  # the most is reached in the second, when the optimiser has its state
SHAPES: dict[str, dict[str, Any]] = {
    "wav2seq-base": {
        "vocab_size": 30_000, "dim": 768, "heads": 12, "ffn_dim": 3072, "encoder_layers": 12, "decoder_layers": 6,
        "frontend": "waveform", "encoder_norm_first": False, "decoder_norm_first": False,
        "encoder_positions": "convolutional", "decoder_activation": "relu", "ctc": False,
    },
    "whisper-small": {
        "vocab_size": 51_865, "dim": 768, "heads": 12, "ffn_dim": 3072, "encoder_layers": 12, "decoder_layers": 12,
        "mel_strides": (1, 2), "mel_normalisation": "range", "mel_window_seconds": 30.0, "decoder_positions": 448,
        "scale_embedding": False, "key_bias": False, "ctc": False,
    },
}  # fmt: skip
METHODS: dict[str, dict[str, Any]] = {
    "prompts, last 3 and decoder, cached": {"placement": "e:last3,d:all"},
    "prompts everywhere": {"placement": "e:all,d:all"},
    "LoRA everywhere": {"method": "lora", "placement": "e:all,d:all,c:all"},
    "whole network": {"method": "finetune"},
}


def main() -> None:
    """All figures, or one as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("shapes", nargs="*", default=list(SHAPES))
    parser.add_argument("--method", choices=METHODS)
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()
    if args.method:
        print(json.dumps(adapt(args.folder, args.shapes[0], args.method, args.checkpointing, args.steps)))
        return
    rows: list[tuple[object, ...]] = []
    for shape in args.shapes:
        in_fresh_process(args.folder, shape, "prompts everywhere", "--steps", "0")  # writes the backbone
        for method in METHODS:
            runs = [in_fresh_process(args.folder, shape, method, *flags) for flags in ([], ["--checkpointing"])]
            rows.append((shape, method, f"{runs[0]['parameters']:,}", *(cell(runs, key) for key in ("peak", "cpu"))))
            print(table(("shape", "method", "numbers", "peak GB", "CPU s a step"), rows, right=(2, 3, 4)), flush=True)


def cell(runs: list[dict[str, Any]], key: str) -> str:
    """Without checkpointing, and with it."""
    return " / ".join(f"{run[key]:.1f}" for run in runs)


def in_fresh_process(folder: Path, shape: str, method: str, *flags: str) -> dict[str, Any]:
    """What `adapt` reports."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", str(folder), shape, "--method", method, *flags]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def adapt(folder: Path, shape: str, method: str, checkpointing: bool, steps: int) -> dict[str, Any]:
    """Some steps; the trainable parameters, the peak in 10^9 bytes, and CPU seconds of the last step."""
    from lect.engine.contract.adaptation_spec import AdaptationSpec
    from lect.engine.contract.model_config import ModelConfig
    from lect.engine.contract.train_settings import TrainSettings
    from lect.engine.model.backbone import open_backbone
    from lect.engine.model.device import choose_device
    from lect.engine.training.features import FeatureCache
    from lect.engine.training.state import make_state
    from tests.benchmarks.training import clips, take

    if not (folder / shape).exists():
        write_backbone(folder / shape, shape, ModelConfig(**SHAPES[shape]))
    data = clips(folder / "clips", BATCH)
    settings = TrainSettings(
        spec=AdaptationSpec(**METHODS[method]),
        per_device_train_batch_size=BATCH,
        copies=1,
        ctc_weight=0.0,
        gradient_checkpointing=checkpointing,
    )
    cache = FeatureCache(folder / "cache") if method.endswith("cached") else None
    state = make_state(settings, open_backbone(str(folder / shape)), data.vocabulary, choose_device("cpu"), cache)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    spent = 0.0
    for step in range(steps):
        before = time.process_time()
        take(state, settings, data, step)
        spent = time.process_time() - before
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak is not None
    return {"parameters": state.adaptation.trained_parameters(), "peak": int(peak[1]) * 1024 / 1e9, "cpu": spent}


def write_backbone(folder: Path, name: str, config: Any) -> None:
    """Random weights, and a vocabulary of as many numbers as it has tokens."""
    import torch

    from lect.engine.model.network import EncoderDecoder
    from lect.engine.model.weights import save_backbone
    from lect.engine.text.vocabulary import SPECIALS, Vocabulary

    torch.manual_seed(0)
    symbols = tuple(map(str, range(config.vocab_size - len(SPECIALS))))
    save_backbone(folder, name, EncoderDecoder(config), Vocabulary("phone", symbols), languages=(), licence="CC0-1.0")


if __name__ == "__main__":
    main()
