"""Where a graph's weights lie: inside the .onnx file, or in the backbone's own safetensors file, which it points into.

Pointing costs no disk: a backbone's float16 weights serve torch and ONNX alike. The graph casts them to float32 and
turns them the right way round, which a runtime does once, when it loads. It knows neither torch nor what the tensors
mean.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

SMALL_BYTES = 1_024  # smaller tensors stay inside: a pointer and a cast would cost as much
_TYPES = {"F32": TensorProto.FLOAT, "F16": TensorProto.FLOAT16}

Array = npt.NDArray[np.float32]
Identity = tuple[tuple[int, ...], bytes]


def point_into(graph: onnx.ModelProto, weights: Path) -> None:
    """Replaces every weight that `weights` holds by a pointer into that file, which must lie beside the graph."""
    start = 8 + int.from_bytes(weights.read_bytes()[:8], "little")
    entries, known = _entries(weights), _known(weights)

    def find(array: Array) -> tuple[TensorProto, bool] | None:
        if (found := known.get(_identity(array))) is None:
            return None
        name, turned = found
        return _pointer(weights, name, entries[name], start), turned

    _replace(graph, find)


def _known(weights: Path) -> dict[Identity, tuple[str, bool]]:
    """What a weight holds -> its name in the file, and whether it is stored the other way round."""
    stored, known = load_file(weights), dict[Identity, tuple[str, bool]]()
    for name in _entries(weights):
        array = stored[name].astype(np.float32)
        known[_identity(array)] = (name, False)
        if array.ndim == 2:
            known.setdefault(_identity(np.ascontiguousarray(array.T)), (name, True))
    return known


def _pointer(weights: Path, name: str, entry: dict[str, Any], start: int) -> TensorProto:
    begin, end = entry["data_offsets"]
    tensor = TensorProto(name=f"{name}.stored", data_type=_TYPES[entry["dtype"]], dims=entry["shape"])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", weights.name), ("offset", start + begin), ("length", end - begin)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def halve(graph: onnx.ModelProto) -> None:
    """Stores every weight whose values all are float16 ones at half the size; the graph computes the same."""

    def find(array: Array) -> tuple[TensorProto, bool] | None:
        with np.errstate(over="ignore"):
            half = array.astype(np.float16)
        return (numpy_helper.from_array(half), False) if np.array_equal(half, array) else None

    _replace(graph, find)


def _replace(graph: onnx.ModelProto, find: Callable[[Array], tuple[TensorProto, bool] | None]) -> None:
    kept: list[TensorProto] = []
    nodes: list[onnx.NodeProto] = []
    added: set[str] = set()
    for tensor in graph.graph.initializer:
        found = find(numpy_helper.to_array(tensor)) if _is_large(tensor) else None
        if found is None:
            kept.append(tensor)
            continue
        stored, turned = found
        if not stored.name:
            stored.name = f"{tensor.name}.stored"
        if stored.name not in added:
            kept.append(stored)
            added.add(stored.name)
        nodes += _restored(stored, turned, tensor.name)
    graph.graph.ClearField("initializer")
    graph.graph.initializer.extend(kept)
    nodes += graph.graph.node
    graph.graph.ClearField("node")
    graph.graph.node.extend(nodes)


def _restored(stored: TensorProto, turned: bool, name: str) -> Iterator[onnx.NodeProto]:
    """The nodes that make the weight `name` of what is stored."""
    source = stored.name
    if stored.data_type != TensorProto.FLOAT:
        target = f"{name}.cast" if turned else name
        yield helper.make_node("Cast", [source], [target], to=TensorProto.FLOAT, name=f"cast {name}")
        source = target
    if turned:
        yield helper.make_node("Transpose", [source], [name], perm=[1, 0], name=f"transpose {name}")
    elif source != name:
        yield helper.make_node("Identity", [source], [name], name=f"identity {name}")


def _is_large(tensor: TensorProto) -> bool:
    return tensor.data_type == TensorProto.FLOAT and 4 * int(np.prod(tensor.dims)) >= SMALL_BYTES


def _identity(array: Array) -> Identity:
    return array.shape, array.tobytes()


def _entries(path: Path) -> dict[str, dict[str, Any]]:
    """The tensors of a safetensors file that a graph can point to."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header: dict[str, dict[str, Any]] = json.loads(file.read(size))
    header.pop("__metadata__", None)
    return {name: entry for name, entry in header.items() if entry["dtype"] in _TYPES}
