"""The tensors of an adaptation as a pack holds them: which names and shapes there are, and which a backbone takes.

Needs no torch. It does not know files or graphs.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from safetensors import SafetensorError

from lect.engine.contract.errors import PackError

# More would only eat the memory of whoever opens it.
MAX_ROWS = {"prompt": 2_000, "adapter": 4_096, "vocabulary": 100_000}
_NAMES = (
    re.compile(r"(?P<stack>encoder|decoder|cross)\.(?P<layer>\d{1,3})\.(?P<kind>prompt)\.(?P<part>key|value)"),
    re.compile(r"(?P<stack>encoder|decoder)\.(?P<layer>\d{1,3})\.(?P<kind>adapter)\.(?P<part>down|up)"),
    re.compile(r"(?P<kind>vocabulary)\.(?P<part>embedding|ctc\.weight|ctc\.bias)"),
)
_AXES = {
    "key": ("rows", "heads", "head_dim"),
    "value": ("rows", "heads", "head_dim"),
    "down": ("rows", "dim"),
    "up": ("dim", "rows"),
    "embedding": ("rows", "dim"),
    "ctc.weight": ("rows", "dim"),
    "ctc.bias": ("rows",),
}
_PARTNERS = {
    "key": "value",
    "value": "key",
    "down": "up",
    "up": "down",
    "ctc.weight": "ctc.bias",
    "ctc.bias": "ctc.weight",
}

Tensor = npt.NDArray[Any]
Tensors = Mapping[str, Tensor]


def load(data: bytes, pack: str) -> dict[str, Tensor]:
    """The tensors in a safetensors file of the pack called `pack`. Raises PackError when a pack may not hold one."""
    try:
        tensors = safetensors.numpy.load(data)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise PackError(f"{pack} holds tensors that cannot be read ({error}): get the pack again.") from error
    for name, tensor in tensors.items():
        _check(name, tensor, pack)
    for name, tensor in tensors.items():
        partner = _partner(name)
        if partner is not None and (partner not in tensors or _rows(partner, tensors[partner]) != _rows(name, tensor)):
            raise PackError(f"{pack} holds half a pair of tensors ({name}): get the pack again.")
    return dict(tensors)


def misfit(tensors: Tensors, model: Mapping[str, Any]) -> str | None:
    """The first tensor that a backbone of these sizes (`ModelConfig` as JSON) cannot take, or None."""
    sizes = {"heads": model["heads"], "head_dim": model["dim"] // model["heads"], "dim": model["dim"]}
    for name, tensor in tensors.items():
        match = _match(name)
        axes = zip(_AXES[match["part"]], tensor.shape, strict=True)
        if any(sizes.get(axis, size) != size for axis, size in axes):
            return name
        if "stack" in match and int(match["layer"]) >= model[f"{_stack(match)}_layers"]:
            return name
        if match["part"].startswith("ctc.") and not model["ctc"]:
            return name
    return None


def facts(tensors: Tensors) -> dict[str, dict[str, Any]]:
    """Shape and type by name, as the manifest lists them."""
    return {name: {"shape": list(tensor.shape), "dtype": str(tensor.dtype)} for name, tensor in tensors.items()}


def parameters(tensors: Tensors) -> int:
    """How many numbers there are."""
    return sum(math.prod(tensor.shape) for tensor in tensors.values())


def _check(name: str, tensor: Tensor, pack: str) -> None:
    match = _match(name)
    if not match or tensor.ndim != len(_AXES[match["part"]]) or tensor.dtype not in (np.float32, np.float16):
        raise PackError(f"{pack} holds a tensor that no pack has ({name}): get the pack again.")
    if _rows(name, tensor) > MAX_ROWS[match["kind"]]:
        size = " x ".join(map(str, tensor.shape))
        raise PackError(f"{pack} holds an oversized tensor ({name}, {size}): do not use it.")
    if not np.isfinite(tensor).all():
        raise PackError(f"{pack} holds weights that are not numbers ({name}): train it again.")


def _match(name: str) -> dict[str, str]:
    """Kind and part, and for all but vocabularies stack and layer; empty when no pack has such a tensor."""
    found = (pattern.fullmatch(name) for pattern in _NAMES)
    return next((match.groupdict() for match in found if match), {})


def _rows(name: str, tensor: Tensor) -> int:
    """Prompt length, adapter rank or vocabulary."""
    return int(tensor.shape[_AXES[_match(name)["part"]].index("rows")])


def _partner(name: str) -> str | None:
    """The tensor without which this one means nothing, and which has as many rows."""
    part = _match(name)["part"]
    return f"{name.removesuffix(part)}{_PARTNERS[part]}" if part in _PARTNERS else None


def _stack(match: Mapping[str, str]) -> str:
    return "encoder" if match["stack"] == "encoder" else "decoder"
