"""faster-whisper's folder: CTranslate2's `model.bin`, byte for byte as its own converter writes it, and its config."""

import struct
from itertools import product
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from lect.engine.contract.files import write_json
from lect.engine.model.foreign.ctranslate2 import SPEC, TYPES, named_as_ctranslate2
from lect.engine.model.foreign.network import layer_count
from lect.engine.model.foreign.whisper import Whisper

from .generation import first_suppressed, languages, suppressed
from .huggingface import PREPROCESSOR, TOKENIZER, preprocessor
from .tokenizer import tokenizer_json

FILE = "model.bin"
VERSION, REVISION = 6, 3  # of the file's layout, and of what a Whisper in it has
GELU = 3  # CTranslate2's number of the activation
ALIAS = ("decoder/projection/weight", "decoder/embeddings/weight")  # the output is the embedding
# What other networks of CTranslate2's do and no Whisper does.
HABITS = {
    "activation": (torch.int8, GELU),
    "alibi": (torch.int8, 0),
    "alibi_use_positive_positions": (torch.int8, 0),
    "alignment_heads": (torch.int16, 1),
    "alignment_layer": (torch.int16, -1),
    "pre_norm": (torch.int8, 1),
    "scale_alibi": (torch.int8, 0),
    "scale_embeddings": (torch.int8, 0),
    "start_from_zero_embedding": (torch.int8, 0),
}


def write_ctranslate2(folder: Path, whisper: Whisper, weights: str, language: str) -> Path:
    """Writes `model.bin`, and what faster-whisper reads beside it; weights: float16 or float32."""
    variables = {name: tensor.to(getattr(torch, weights)) for name, tensor in _weights(whisper).items()}
    variables |= {f"decoder/{name}": torch.tensor(value, dtype=dtype) for name, (dtype, value) in HABITS.items()}
    for stack in ("encoder", "decoder"):
        variables[f"{stack}/num_heads"] = torch.tensor(whisper.heads, dtype=torch.int16)
    with (folder / FILE).open("wb") as file:
        file.write(struct.pack("<I", VERSION) + _string(SPEC) + struct.pack("<II", REVISION, len(variables)))
        for name in sorted(variables):
            _write(file, name, variables[name])
        file.write(struct.pack("<I", 1) + b"".join(map(_string, ALIAS)))
    write_json(folder / "config.json", _config(whisper))
    write_json(folder / "vocabulary.json", list(whisper.tokens))
    write_json(folder / PREPROCESSOR, preprocessor(whisper))
    (folder / TOKENIZER).write_text(tokenizer_json(whisper.tokens), encoding="utf-8")
    return folder / FILE


def _weights(whisper: Whisper) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in named_as_ctranslate2(whisper.tensors).items() if name not in ALIAS[:1]}


def _config(whisper: Whisper) -> dict[str, object]:
    layers = layer_count(whisper.tensors, "decoder.layers.")
    # As its converter has it where nothing is published: the later half of the layers.
    heads = whisper.alignment_heads or tuple(product(range(layers // 2, layers), range(whisper.heads)))
    return {
        "alignment_heads": [list(pair) for pair in heads],
        "lang_ids": sorted(languages(whisper.tokens).values()),
        "suppress_ids": suppressed(whisper),
        "suppress_ids_begin": first_suppressed(whisper.tokens),
    }


def _write(file: BinaryIO, name: str, tensor: Tensor) -> None:
    data = tensor.contiguous().numpy().tobytes()
    shape = tuple(tensor.shape)
    file.write(_string(name) + struct.pack(f"<B{len(shape)}I", len(shape), *shape))
    file.write(struct.pack("<BI", TYPES.index(tensor.dtype), len(data)) + data)


def _string(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"
