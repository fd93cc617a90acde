"""One Whisper shape with random weights, in the form that each program reads; and clips of ten seconds."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from lect.engine.model.backbone import open_backbone
from lect.engine.model.foreign import read_foreign
from lect.engine.model.weights import load_model, save_backbone
from lect.engine.text.rules import TextRules
from lect.exports.backbone_graphs import build_backbone
from lect.exports.pack import PackContents
from lect.exports.whisper_folder import write_whisper_folder
from tests.benchmarks.material import ten_seconds
from tests.benchmarks.peers import CLIPS
from tests.benchmarks.whisper_shapes import write_whisper


def prepare(folder: str, shape: str) -> None:
    """Makes everything in `folder`; the clips go beside it."""
    place = Path(folder)
    (clips := place.parent / "clips").mkdir(parents=True, exist_ok=True)
    for number in range(CLIPS):
        np.save(clips / f"{number}.npy", ten_seconds(number))
    place.mkdir(exist_ok=True)
    if shape == "starter":
        (place / "source").write_text(str(open_backbone(shape).folder))
    else:
        _whisper(place, shape)
    (place / "ready").touch()


def _whisper(place: Path, shape: str) -> None:
    checkpoint = write_whisper(place / "hf", shape)
    foreign = read_foreign(checkpoint)
    save_backbone(place / "lect", shape, foreign.model, foreign.vocabulary, languages=("en",), licence="CC0-1.0")
    backbone = open_backbone(str(place / "lect"))
    model = load_model(backbone)
    build_backbone(backbone, model)
    bare = PackContents(shape, "en", backbone, {"method": "none"}, {}, backbone.vocabulary, TextRules())
    with torch.no_grad():
        write_whisper_folder(place / "onnx-asr", bare, model, [ten_seconds(0)])
    if find_spec("ctranslate2"):
        from ctranslate2.converters import TransformersConverter

        files = ["tokenizer.json", "preprocessor_config.json"]
        TransformersConverter(str(checkpoint), copy_files=files).convert(
            str(place / "ct2"), quantization="int8", force=True
        )
