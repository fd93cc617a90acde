"""The Whisper that ships, in the form that each program of `peer_programs` reads."""

from pathlib import Path

import torch

from lect.app.cli import main
from lect.engine.contract.run_request import WHISPER
from lect.engine.model.backbone import open_backbone
from lect.engine.model.weights import load_model
from lect.engine.text.rules import TextRules
from lect.exports.pack import PackContents
from lect.exports.whisper_folder import write_whisper_folder
from tests.benchmarks.material import ten_seconds

FORMS = {
    "huggingface": ("huggingface", "float32"),
    "ctranslate2": ("ctranslate2", "float16"),
    "openai": ("openai", "float32"),
    "ggml-f16": ("ggml", "float16"),
    "ggml-q8_0": ("ggml", "q8_0"),
}


def prepare(folder: Path) -> None:
    """Writes what is not there yet."""
    for name, (layout, weights) in FORMS.items():
        if not (folder / name).exists():
            call = ["export", "--backbone", WHISPER, "--layout", layout, "--weights", weights, "--out", folder / name]
            assert main([*map(str, call), "--quiet"]) == 0
    if not (folder / "onnx-asr").exists():
        backbone = open_backbone(WHISPER)
        bare = PackContents(WHISPER, "en", backbone, {"method": "none"}, {}, backbone.vocabulary, TextRules())
        with torch.no_grad():
            write_whisper_folder(folder / "onnx-asr", bare, load_model(backbone), [ten_seconds(0)])
