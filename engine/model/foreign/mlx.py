"""Whispers that mlx-whisper reads: a folder with OpenAI's sizes in `config.json`, and weights under its names.

The weights are safetensors or an older `.npz`, read without pickle. Convolutions have their channels last; linear
layers and the embedding may be quantised in groups along a row. It does not know how a Whisper becomes a backbone.
"""

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from ...contract.errors import BackboneError
from .huggingface import load_safetensors
from .limits import bounded_json, check_size, check_tensors, check_unpacked
from .network import layer_count
from .openai import LICENCE, check_sizes, openai_tensors
from .whisper import EMBEDDING, Whisper
from .whisper_tokens import (
    checked_heads,
    published_alignment_heads,
    published_tokens,
    tokens_beside,
)

WEIGHTS = ("model.safetensors", "weights.safetensors", "weights.npz")  # in mlx-whisper's order
HEADS = "alignment_heads"
_CONVOLUTIONS = ("encoder.conv1.weight", "encoder.conv2.weight")
MOST_ARRAY_HEADER_BYTES = 10_000
_ROWS_AT_ONCE = 4096  # unpacking takes a byte for each bit


def read_mlx(folder: Path) -> Whisper:
    """The Whisper in a folder. Raises BackboneError, OSError or ValueError."""
    sizes = bounded_json(folder / "config.json")
    path = next((folder / name for name in WEIGHTS if (folder / name).is_file()), folder / WEIGHTS[1])
    found = read_npz(path) if path.suffix == ".npz" else load_safetensors(path)
    check_tensors(found, path.name)
    stated = found.pop(HEADS, torch.empty(0, 2))
    tensors = openai_tensors(_plain(found, sizes.get("quantization"), path.name))
    check_sizes(sizes, tensors, folder.name)
    rows, layers, heads = len(tensors[EMBEDDING]), layer_count(tensors, "decoder.layers."), sizes["n_text_head"]
    return Whisper(
        folder.name,
        tensors,
        heads,
        tokens_beside(folder, rows) or published_tokens(rows, folder.name),
        LICENCE,
        alignment_heads=published_alignment_heads(layers, heads, rows) or checked_heads(stated.tolist(), layers, heads),
    )


def read_npz(path: Path) -> dict[str, Tensor]:
    """The tensors of an `.npz`, none of which may be a pickle. Raises BackboneError."""
    check_unpacked(path)
    found = {}
    try:
        with zipfile.ZipFile(path) as file:
            for entry in file.infolist():
                with file.open(entry) as member:
                    found[entry.filename.removesuffix(".npy")] = torch.from_numpy(_array(member))
    except Exception as error:  # whatever a stranger's bytes make the readers trip over
        raise _damaged(path) from error
    return found


def _array(member: IO[bytes]) -> np.ndarray:
    """One array. Raises ValueError for a pickle, and for a shape that its bytes do not fill."""
    version = np.lib.format.read_magic(member)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, column_first, dtype = read_header(member, max_header_size=MOST_ARRAY_HEADER_BYTES)
    data = member.read()
    if dtype.hasobject or dtype.itemsize * math.prod(shape) != len(data):
        raise ValueError("objects, or a shape without its numbers")
    return np.frombuffer(bytearray(data), dtype).reshape(shape, order="F" if column_first else "C")


def _plain(found: Mapping[str, Tensor], quantisation: Any, source: str) -> dict[str, Tensor]:
    """Floating point weights, channels first."""
    tensors = dict(found)
    for name in [name for name in found if name.endswith(".scales")]:
        module = name.removesuffix(".scales")
        packed, scales, least = (tensors.pop(f"{module}.{part}", None) for part in ("weight", "scales", "biases"))
        if packed is None or scales is None or least is None or not isinstance(quantisation, dict):
            raise BackboneError(f"{source} is quantised in a form that Lect does not read: use the float16 weights.")
        tensors[f"{module}.weight"] = dequantised(packed, scales, least, quantisation, source)
    for name in _CONVOLUTIONS:
        if name in tensors and tensors[name].dim() == 3:
            tensors[name] = tensors[name].transpose(1, 2)
    return tensors


def dequantised(packed: Tensor, scales: Tensor, least: Tensor, quantisation: Mapping[str, Any], source: str) -> Tensor:
    """(rows, words) of 32 bits, each group with its scale and least value (rows, groups) -> (rows, dim) float32.

    Raises BackboneError where the shapes do not fit `quantisation`'s bits and group size.
    """
    bits = check_size(source, "bits", quantisation.get("bits"), 2, 8)
    group = check_size(source, "group_size", quantisation.get("group_size"), 1, 1024)
    shapes_fit = packed.dim() == scales.dim() == 2 and scales.shape == least.shape and len(packed) == len(scales)
    if not shapes_fit or packed.dtype != torch.uint32 or quantisation.get("mode", "affine") != "affine":
        raise BackboneError(f"{source} is quantised in a form that Lect does not read: use the float16 weights.")
    rows, groups = scales.shape
    if packed.shape[1] * 32 != groups * group * bits or not scales.is_floating_point() or not least.is_floating_point():
        raise BackboneError(f"{source} holds quantised weights that do not fill their groups: it is damaged.")
    whole = torch.cat([_unpacked(part.numpy(), bits) for part in torch.split(packed, _ROWS_AT_ONCE)])
    values = whole.view(rows, groups, group).float() * scales.float()[..., None] + least.float()[..., None]
    return values.view(rows, groups * group)


def _unpacked(words: np.ndarray, bits: int) -> Tensor:
    """(rows, words) -> (rows, dim) of whole numbers, which follow one another from the lowest bit."""
    stream = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1, bitorder="little")
    digits = stream.reshape(len(words), -1, bits)
    return torch.from_numpy(np.packbits(digits, axis=2, bitorder="little")[..., 0])


def _damaged(path: Path) -> BackboneError:
    return BackboneError(f"{path.name} is cut short, damaged, or holds what no model does: fetch it again.")
