"""What is measured on: a backbone with graphs, a pack that fits it, and clips of ten seconds.

`python -m tests.benchmarks.material FOLDER BACKBONE` makes them and prints where they are. Where the backbone is not
installed, one of the starter's shape with random weights takes its place, and is named so.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from lect.engine.audio.reading import SAMPLE_RATE, load_audio
from lect.engine.audio.writing import write_wav
from lect.engine.contract.adaptation_spec import AdaptationSpec
from lect.engine.contract.errors import UsageError
from lect.engine.contract.files import ASSETS
from lect.engine.contract.model_config import ModelConfig
from lect.engine.model.adaptations import make_adaptation
from lect.engine.model.backbone import Backbone, open_backbone
from lect.engine.model.network import EncoderDecoder
from lect.engine.model.weights import load_model, load_shared_prompt, save_backbone
from lect.engine.text.rules import TextRules
from lect.engine.text.vocabulary import SPECIALS, Vocabulary
from lect.exports.backbone_graphs import build_backbone, has_graphs
from lect.exports.pack import PackContents, write_pack

CLIP_SECONDS = 10.0
STARTER_SHAPE = ModelConfig(92, convolution_kernel=15)
PLACEMENT = "e:last3,d:all"
FIRST_SYMBOL = 0x4E00  # thousands of characters from here on are each one grapheme


def random_backbone(folder: Path, name: str, config: ModelConfig) -> Backbone:
    """A backbone of a shape, whose weights mean nothing."""
    torch.manual_seed(0)
    symbols = tuple(chr(FIRST_SYMBOL + number) for number in range(config.vocab_size - len(SPECIALS)))
    model, vocabulary = EncoderDecoder(config), Vocabulary("phone", symbols)
    save_backbone(folder, name, model, vocabulary, languages=(), licence="CC0-1.0")
    return open_backbone(str(folder))


def ten_seconds(number: int) -> np.ndarray:
    """(samples,) speech of the sample set, one clip after the other; another part of it for each number."""
    clips = list(_sample())
    start = number * 3 % len(clips)
    joined = np.concatenate([load_audio(path) for path in (clips[start:] + clips[:start])[:12]])
    return np.resize(joined, int(CLIP_SECONDS * SAMPLE_RATE))


def _sample() -> Iterator[Path]:
    yield from sorted((ASSETS / "sample" / "audio").glob("*.ogg"))


def _with_graphs(folder: Path, name: str) -> tuple[Backbone, str]:
    try:
        backbone = open_backbone(name)
    except UsageError:
        print(f"There is no backbone {name}: random weights take its place.", file=sys.stderr)
        backbone, name = random_backbone(folder / "random", "random", STARTER_SHAPE), "random weights"
    if not has_graphs(backbone):
        build_backbone(backbone, load_model(backbone))
    return backbone, name


def _pack(path: Path, backbone: Backbone) -> None:
    """Untrained prompts and the backbone's own symbols: what a pack costs, without a training."""
    spec = AdaptationSpec(placement=PLACEMENT)
    model, symbols = load_model(backbone), backbone.vocabulary
    learnt = make_adaptation(spec, model, symbols, symbols, load_shared_prompt(backbone)).tensors(model)
    tensors = {name: tensor.detach().numpy() for name, tensor in learnt.items()}
    write_pack(path, PackContents("benchmark", "und", backbone, asdict(spec), tensors, symbols, TextRules()))


def main(folder: Path, name: str) -> None:
    """Makes everything in `folder`."""
    backbone, shown = _with_graphs(folder, name)
    clip, pack = folder / "clip.wav", folder / "benchmark.lect"
    write_wav(clip, ten_seconds(0))
    _pack(pack, backbone)
    print(json.dumps({"backbone": shown, "folder": str(backbone.folder), "clip": str(clip), "pack": str(pack)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
