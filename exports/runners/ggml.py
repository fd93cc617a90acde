"""whisper.cpp's file, as models/convert-pt-to-ggml.py and its program `quantize` write it."""

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
from torch import Tensor

from lect.engine.model.foreign.ggml import FREQUENCIES, MAGIC, ONE_COLUMN
from lect.engine.model.foreign.ggml_blocks import BLOCK, Q5_1, Q8_0, quantised
from lect.engine.model.foreign.openai import named_as_openai, sizes_of
from lect.engine.model.foreign.whisper import Whisper
from lect.engine.model.foreign.whisper_tokens import ordinary_tokens
from lect.engine.model.frontend import LogMel
from lect.engine.text.byte_pairs import unlettered

FILE = "ggml-model.bin"
FLOAT32, FLOAT16 = 0, 1
BLOCKS = {"q8_0": Q8_0, "q5_1": Q5_1}
# ggml's number of a whole file's form, with the version of its blocks in the thousands.
FILE_FORMS = {"float16": 1, "q8_0": 2007, "q5_1": 2009}


def write_ggml(folder: Path, whisper: Whisper, weights: str, language: str) -> Path:
    """Writes `ggml-model.bin`; weights: float16, q8_0 or q5_1."""
    sizes = sizes_of(whisper)
    filters = LogMel(sizes["n_mels"], "range").filters.T.contiguous().numpy()
    tokens = [unlettered(token) for token in ordinary_tokens(whisper.tokens)]
    with (folder / FILE).open("wb") as file:
        file.write(struct.pack("<I11i", MAGIC, *sizes.values(), FILE_FORMS[weights]))
        file.write(struct.pack("<2i", sizes["n_mels"], FREQUENCIES) + filters.astype("<f4").tobytes())
        file.write(struct.pack("<i", len(tokens)))
        file.writelines(struct.pack("<I", len(token)) + token for token in tokens)
        for name, tensor in named_as_openai(whisper.tensors).items():
            _write(file, name, tensor, weights)
    return folder / FILE


def _write(file: BinaryIO, name: str, tensor: Tensor, weights: str) -> None:
    form, data = _encoded(name, tensor, weights)
    shape = (*tensor.shape, 1) if name in ONE_COLUMN else tuple(tensor.shape)
    file.write(struct.pack(f"<3i{len(shape)}i", len(shape), len(name), form, *shape[::-1]))
    file.write(name.encode() + data)


def _encoded(name: str, tensor: Tensor, weights: str) -> tuple[int, bytes]:
    """ggml's number of the form, and the bytes: only matrices that are multiplied by are worth blocks."""
    if tensor.dim() < 2 or name.endswith("positional_embedding"):
        return FLOAT32, tensor.numpy().astype("<f4").tobytes()
    if weights in BLOCKS and tensor.dim() == 2 and tensor.shape[1] % BLOCK == 0:
        return BLOCKS[weights], quantised(tensor, BLOCKS[weights])
    return FLOAT16, tensor.numpy().astype(np.dtype("<f2")).tobytes()
