"""The tensors of an adaptation as a pack holds them: which names and shapes there are, and which a backbone takes.

Needs no torch. It does not know files or graphs.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from safetensors import SafetensorError

from lect.engine.contract.errors import PackError
from lect.engine.contract.model_config import ModelConfig
from lect.engine.contract.tensor_files import check_header
from lect.engine.contract.tensor_names import (
    ADAPTER,
    ATTENTION,
    CTC_BIAS,
    CTC_WEIGHT,
    EMBEDDING,
    KEY_VALUE,
    LORA,
    PROMPT,
    VOCABULARY,
    parse,
)

# More would only eat the memory of whoever opens it.
MAX_ROWS = {PROMPT: 2_000, "vocabulary": 100_000}
MOST_HEADER_BYTES = 256 << 10  # 80 kB are in use for the largest Whisper's prompts and adapters
MAX_RANK = 4_096  # of what is not named here
_PROMPT_AXES = ("rows", "heads", "head_dim")
_BOTTLENECK_AXES = {"down": ("rows", "dim"), "up": ("dim", "rows")}
_AXES: dict[str, Mapping[str, tuple[str, ...]]] = {
    PROMPT: dict.fromkeys(KEY_VALUE, _PROMPT_AXES),
    ADAPTER: _BOTTLENECK_AXES,
    **{LORA[name]: _BOTTLENECK_AXES for name in ATTENTION},
    LORA["up"]: {"down": ("rows", "dim"), "up": ("ffn_dim", "rows")},
    LORA["down"]: {"down": ("rows", "ffn_dim"), "up": ("dim", "rows")},
}
_VOCABULARY_AXES: dict[str, tuple[str, ...]] = {
    EMBEDDING: ("rows", "dim"),
    CTC_WEIGHT: ("rows", "dim"),
    CTC_BIAS: ("rows",),
}

Tensor = npt.NDArray[Any]
Tensors = Mapping[str, Tensor]


def load(data: bytes, pack: str) -> dict[str, Tensor]:
    """The tensors in a safetensors file of the pack called `pack`. Raises PackError when a pack may not hold one."""
    try:
        check_header(data, MOST_HEADER_BYTES)
        tensors = safetensors.numpy.load(data)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise PackError(f"{pack} holds tensors that cannot be read ({error!s:.200}): get the pack again.") from error
    for name, tensor in tensors.items():
        _check(name, tensor, pack)
    for name, tensor in tensors.items():
        partner = _partner(name)
        if partner is not None and (partner not in tensors or _rows(partner, tensors[partner]) != _rows(name, tensor)):
            raise PackError(f"{pack} holds half a pair of tensors ({name}): get the pack again.")
    return dict(tensors)


def halved(tensors: Tensors) -> dict[str, Tensor]:
    """float16 in place of float32; a tensor with a number that float16 does not reach stays as it is."""
    with np.errstate(over="ignore"):
        halves = {name: tensor.astype(np.float16) for name, tensor in tensors.items()}
    return {name: half if np.isfinite(half).all() else tensors[name] for name, half in halves.items()}


def misfit(tensors: Tensors, config: ModelConfig) -> str | None:
    """The first tensor that a backbone of these sizes cannot take, or None."""
    sizes = {"heads": config.heads, "head_dim": config.head_dim, "dim": config.dim, "ffn_dim": config.ffn_dim}
    layers = {"encoder": config.encoder_layers, "decoder": config.decoder_layers, "cross": config.decoder_layers}
    for name, tensor in tensors.items():
        axes = zip(_axes(name), tensor.shape, strict=True)
        if any(sizes.get(axis, size) != size for axis, size in axes):
            return name
        layered = parse(name)
        if layered and layered.layer >= layers[layered.stack]:
            return name
    return None


def facts(tensors: Tensors) -> dict[str, dict[str, Any]]:
    """Shape and type by name, as the manifest lists them."""
    return {name: {"shape": list(tensor.shape), "dtype": str(tensor.dtype)} for name, tensor in tensors.items()}


def parameters(tensors: Tensors) -> int:
    """How many parameters there are."""
    return sum(math.prod(tensor.shape) for tensor in tensors.values())


def _check(name: str, tensor: Tensor, pack: str) -> None:
    if not _is_known(name) or tensor.ndim != len(_axes(name)) or tensor.dtype not in (np.float32, np.float16):
        raise PackError(f"{pack} holds a tensor that no pack has ({name:.80}): get the pack again.")
    layered = parse(name)
    if _rows(name, tensor) > MAX_ROWS.get(layered.kind if layered else "vocabulary", MAX_RANK):
        size = " x ".join(map(str, tensor.shape))
        raise PackError(f"{pack} holds an oversized tensor ({name}, {size}): do not use it.")
    if not np.isfinite(tensor).all():
        raise PackError(f"{pack} holds weights that are not numbers ({name}): train it again.")


def _is_known(name: str) -> bool:
    """Whether a pack may hold a tensor of this name: no change of the network's own weights, and no cross adapter."""
    layered = parse(name)
    if layered is None:
        return name in VOCABULARY
    return not layered.changes_weights and (layered.kind != ADAPTER or layered.stack != "cross")


def _axes(name: str) -> tuple[str, ...]:
    layered = parse(name)
    return _AXES[layered.kind][layered.part] if layered else _VOCABULARY_AXES[name]


def _rows(name: str, tensor: Tensor) -> int:
    """Prompt length, adapter rank or vocabulary."""
    return int(tensor.shape[_axes(name).index("rows")])


def _partner(name: str) -> str | None:
    """The tensor without which this one means nothing, and which has as many rows."""
    if layered := parse(name):
        return str(layered.partner)
    return {CTC_WEIGHT: CTC_BIAS, CTC_BIAS: CTC_WEIGHT}.get(name)
