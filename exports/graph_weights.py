"""Where a graph's weights lie: inside the .onnx file, or in the backbone's own safetensors file, which it points into.

Pointing costs no disk: one file serves torch and the graphs of both builds. A float32 graph makes float32 of what is
stored, which a runtime does once, when it loads; an int8 graph multiplies by the stored integers as they are. It knows
neither torch nor what the tensors mean.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

from lect.engine.model.eight_bits import Integers, restored, scale_name

SMALL_BYTES = 1_024  # smaller tensors stay inside: a pointer and a cast would cost as much
_TYPES = {"F32": TensorProto.FLOAT, "F16": TensorProto.FLOAT16, "I8": TensorProto.INT8}

Array = npt.NDArray[np.float32]
Identity = tuple[tuple[int, ...], bytes]
# operator, inputs, output, attributes
Step = tuple[str, list[str], str, dict[str, Any]]


@dataclass(frozen=True)
class Stored:
    """A weight as it is stored."""

    values: TensorProto
    turned: bool  # stored transposed
    scales: TensorProto | None = None  # float32, what each column of stored integers is multiplied by

    @property
    def tensors(self) -> list[TensorProto]:
        """All of it."""
        return [self.values] if self.scales is None else [self.values, self.scales]


Find = Callable[[Array], Stored | None]


class WeightsFile:
    """The weights that a backbone's safetensors file holds, found by their values."""

    def __init__(self, path: Path):
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            entries: dict[str, dict[str, Any]] = json.loads(file.read(size))
        entries.pop("__metadata__", None)
        self._path, self._start, self._entries = path, 8 + size, entries
        self._known = dict[Identity, tuple[str, bool]]()
        for name, array in restored(load_file(path)).items():
            # Integers are stored the other way round than the weight that they stand for.
            turned = entries[name]["dtype"] == "I8"
            self._known[_identity(array)] = (name, turned)
            if array.ndim == 2:
                self._known.setdefault(_identity(np.ascontiguousarray(array.T)), (name, not turned))

    def find(self, array: Array) -> Stored | None:
        """Where these values are stored; None where they are not."""
        if (found := self._known.get(_identity(array))) is None:
            return None
        name, turned = found
        scaled = self._entries[name]["dtype"] == "I8"
        return Stored(self._pointer(name), turned, self._pointer(scale_name(name)) if scaled else None)

    def _pointer(self, name: str) -> TensorProto:
        entry = self._entries[name]
        begin, end = entry["data_offsets"]
        tensor = TensorProto(name=f"{name}.stored", data_type=_TYPES[entry["dtype"]], dims=entry["shape"])
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", self._path.name), ("offset", self._start + begin), ("length", end - begin)):
            tensor.external_data.add(key=key, value=str(value))
        return tensor


def point_into(graph: onnx.ModelProto, weights: WeightsFile) -> None:
    """Replaces every weight that the file holds by a pointer into it; it must lie beside the graph."""
    _replace(graph, weights.find)


def halve(graph: onnx.ModelProto) -> None:
    """Stores every weight whose values all are float16 ones at half the size; the graph computes the same."""

    def find(array: Array) -> Stored | None:
        with np.errstate(over="ignore"):
            half = array.astype(np.float16)
        return Stored(numpy_helper.from_array(half), False) if np.array_equal(half, array) else None

    _replace(graph, find)


def integers_of(matrix: Array, name: str, made: tuple[Integers, Array]) -> Stored:
    """A matrix that is stored inside the graph, as integers (columns, rows) and a scale for each row."""
    integers, scales = made
    assert integers.shape == matrix.shape[::-1]
    return Stored(
        numpy_helper.from_array(integers, f"{name}.integers"),
        True,
        numpy_helper.from_array(scales, f"{name}.scales"),
    )


def is_large(tensor: TensorProto) -> bool:
    """Whether a weight, which lies inside the graph, is worth storing elsewhere or otherwise."""
    if tensor.data_location == TensorProto.EXTERNAL:
        return False
    return tensor.data_type == TensorProto.FLOAT and 4 * int(np.prod(tensor.dims)) >= SMALL_BYTES


def nodes_of(steps: Iterable[Step]) -> list[NodeProto]:
    """Nodes, each called after its output."""
    return [helper.make_node(kind, inputs, [output], output, **how) for kind, inputs, output, how in steps]


def looked_up(stored: Stored, indices: str, output: str) -> list[NodeProto]:
    """The rows of a weight that is stored as integers, turned: indices (batch, length) -> (batch, length, columns)."""
    assert stored.scales is not None and stored.turned
    return nodes_of(
        [
            ("Gather", [stored.values.name, indices], f"{output}.integers", {"axis": 1}),
            ("Cast", [f"{output}.integers"], f"{output}.floats", {"to": TensorProto.FLOAT}),
            ("Transpose", [f"{output}.floats"], f"{output}.rows", {"perm": [1, 2, 0]}),
            ("Gather", [stored.scales.name, indices], f"{output}.scales", {}),
            ("Unsqueeze", [f"{output}.scales", last_axis().name], f"{output}.column", {}),
            ("Mul", [f"{output}.rows", f"{output}.column"], output, {}),
        ]
    )


def last_axis() -> TensorProto:
    """The constant that `looked_up` reads beside a weight."""
    return numpy_helper.from_array(np.array([-1]), "last.axis")


def replace_graph(graph: onnx.ModelProto, weights: Iterable[TensorProto], nodes: Iterable[NodeProto]) -> None:
    """Another set of weights, each once, and of nodes."""
    named, kept = {tensor.name: tensor for tensor in weights}, list(nodes)
    graph.graph.ClearField("initializer")
    graph.graph.initializer.extend(named.values())
    graph.graph.ClearField("node")
    graph.graph.node.extend(kept)


def _replace(graph: onnx.ModelProto, find: Find) -> None:
    weights: list[TensorProto] = []
    makers: list[NodeProto] = []
    nodes = list(graph.graph.node)
    for tensor in graph.graph.initializer:
        found = find(numpy_helper.to_array(tensor)) if is_large(tensor) else None
        if found is None:
            weights.append(tensor)
            continue
        found.values.name = found.values.name or f"{tensor.name}.stored"
        weights += found.tensors
        if found.scales is not None:
            nodes = [made for node in nodes for made in _reading_integers(node, tensor.name, found)]
            weights.append(last_axis())
        if any(tensor.name in node.input for node in nodes):
            makers += _restoring(found, tensor.name)
    read = {name for node in [*makers, *nodes] for name in node.input}
    weights = [tensor for tensor in weights if tensor.name in read]
    replace_graph(graph, weights, [*makers, *nodes])


def _reading_integers(node: NodeProto, name: str, stored: Stored) -> list[NodeProto]:
    """A node that reads the weight `name` as nodes that read its integers where that takes less memory, else itself."""
    assert stored.scales is not None
    if stored.turned and node.op_type == "Gather" and node.input[0] == name:
        return looked_up(stored, node.input[1], node.output[0])
    if not stored.turned and node.op_type == "MatMul" and node.input[1] == name:
        # The scales come after the product, so that a runtime makes one matrix of the integers and not two.
        output = node.output[0]
        cast, product = f"{name}.cast", f"{output}.unscaled"
        return nodes_of(
            [
                ("Cast", [stored.values.name], cast, {"to": TensorProto.FLOAT}),
                ("MatMul", [node.input[0], cast], product, {}),
                ("Mul", [product, stored.scales.name], output, {}),
            ]
        )
    return [node]


def _restoring(stored: Stored, name: str) -> list[NodeProto]:
    """The nodes that make the weight `name`, in float32, of what is stored."""
    source, steps = stored.values.name, list[Step]()
    if stored.values.data_type != TensorProto.FLOAT:
        steps.append(("Cast", [source], f"{name}.cast", {"to": TensorProto.FLOAT}))
    if stored.scales is not None:
        steps.append(("Mul", [f"{name}.cast", stored.scales.name], f"{name}.scaled", {}))
    if stored.turned:
        steps.append(("Transpose", [steps[-1][2] if steps else source], name, {"perm": [1, 0]}))
    elif not steps:
        steps.append(("Identity", [source], name, {}))
    kind, inputs, _, how = steps[-1]
    return nodes_of([*steps[:-1], (kind, inputs, name, how)])


def _identity(array: Array) -> Identity:
    return array.shape, array.tobytes()
