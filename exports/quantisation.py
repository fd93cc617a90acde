"""float32 graphs to int8 ones: products of 8-bit weights and of inputs quantised as they come.

Each row of an input has a scale of its own, once for all products that read it: a Whisper's activations differ so much
from frame to frame that one scale for all (DynamicQuantizeLinear) makes three times the error, 9 to 19 % of the
encoder's output for 3 to 7 %, to save 7 % of the time. So a clip's values do not depend on its batch either.
"""

import re
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, numpy_helper

from lect.engine.model.eight_bits import quantised
from lect.engine.model.frontend import MelFrontend
from lect.engine.model.network import EncoderDecoder

from .graph_weights import (
    Array,
    Step,
    Stored,
    WeightsFile,
    halve,
    integers_of,
    is_large,
    last_axis,
    looked_up,
    nodes_of,
    point_into,
    replace_graph,
)

# Of 7 bits: processors without VNNI add pairs of products in 16 bits, which 8 bits overflow. Lect's own runtime has
# ONNX Runtime widen a backbone's 8-bit weights there (`onnx_sessions`); a graph with its weights inside runs anywhere.
LARGEST = 63
# Inputs are unsigned, as processors multiply them: symmetric about 128, in steps of a 127th of the row's largest.
_ZERO = numpy_helper.from_array(np.array(128, np.uint8), "input.zero")
_SHIFT = numpy_helper.from_array(np.array(128, np.float32), "input.shift")
_STEP = numpy_helper.from_array(np.array(1 / 127, np.float32), "input.step")
_LEAST = numpy_helper.from_array(np.array(np.finfo(np.float32).tiny), "input.least")
# Whose inputs 8 bits round worst: on Whisper-base they make half of the error of the encoder's output (4.8 % of its
# deviation, and 2.2 % with these products in float32).
SENSITIVE = re.compile(r"encoder\.layers\.0\.|decoder\.layers\.\d+\.cross_attention\.(key|value)\.")
LARGE_VOCABULARY = 4_096  # symbols, from which on reading them takes a good part of a token's time


def quantized(graph: onnx.ModelProto, model: EncoderDecoder, weights: WeightsFile | None = None) -> onnx.ModelProto:
    """The graph with the matrices of its products as int8, one scale a column; inputs are quantised as they come.

    weights: where they lie beside the graph, which then points to them; what is not there in 8 bits is quantised, but
    for the products by SENSITIVE ones. Convolutions stay as they are: quantised, they are slower, and cost most of the
    accuracy. So do the mel filters: the logarithm behind them magnifies what is nearly nothing.
    """
    small = onnx.ModelProto()
    small.CopyFrom(graph)
    tables = {t.name: numpy_helper.to_array(t) for t in graph.graph.initializer if is_large(t) and len(t.dims) == 2}
    _Quantiser(tables, _mel_filters(model), weights).apply(small)
    if weights is None:
        halve(small)
    else:
        point_into(small, weights)
    return small


class _Quantiser:
    """Replaces products, and the reading of large vocabularies, node by node."""

    def __init__(self, tables: Mapping[str, Array], filters: Array | None, weights: WeightsFile | None):
        self.tables, self.filters, self.weights = tables, filters, weights
        self.stored = dict[tuple[str, bool], Stored]()  # by the weight's name and whether it is read turned
        self.inputs = set[str]()  # that are quantised already
        self.nodes = list[NodeProto]()

    def apply(self, graph: onnx.ModelProto) -> None:
        for node in graph.graph.node:
            if (stored := self._product(node)) is not None:
                self.nodes += self._multiplied(node, stored)
            elif node.op_type == "Gather" and len(self.tables.get(node.input[0], ())) >= LARGE_VOCABULARY:
                self.nodes += looked_up(self._of(node.input[0], rows=True), node.input[1], node.output[0])
            else:
                self.nodes.append(node)
        read = {name for node in self.nodes for name in node.input}
        made = [tensor for stored in self.stored.values() for tensor in stored.tensors]
        weights = [*graph.graph.initializer, *made, last_axis(), _ZERO, _SHIFT, _STEP, _LEAST]
        replace_graph(graph, [tensor for tensor in weights if tensor.name in read], self.nodes)

    def _product(self, node: NodeProto) -> Stored | None:
        """The matrix of a product by a weight; None for any other node."""
        if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in self.tables:
            return None
        table = self.tables[node.input[1]]
        if (self.filters is not None and np.array_equal(table, self.filters)) or self._is_wide(table):
            return None
        turned = node.op_type == "Gemm" and any(each.name == "transB" and each.i for each in node.attribute)
        return self._of(node.input[1], rows=turned)

    def _is_wide(self, table: Array) -> bool:
        """Whether the product by this matrix stays one in float32."""
        found = self.weights.find(table) if self.weights else None
        return found is not None and SENSITIVE.match(found.values.name) is not None

    def _of(self, name: str, rows: bool) -> Stored:
        """A weight as integers that a product reads; rows: whether its rows, and not its columns, become columns."""
        if (name, rows) not in self.stored:
            matrix = self.tables[name] if rows else np.ascontiguousarray(self.tables[name].T)
            found = self.weights.find(matrix) if self.weights else None
            if found is None or found.scales is None or not found.turned:
                found = integers_of(matrix, f"{name}.{'rows' if rows else 'columns'}", quantised(matrix, LARGEST))
            self.stored[name, rows] = found
        return self.stored[name, rows]

    def _multiplied(self, node: NodeProto, stored: Stored) -> list[NodeProto]:
        assert stored.scales is not None
        source, name = node.input[0], node.output[0]
        quantisers = [] if source in self.inputs else _by_rows(source)
        self.inputs.add(source)
        bias = node.input[2] if len(node.input) > 2 else None
        steps: list[Step] = [
            ("MatMulInteger", [f"{source}.uint8", stored.values.name, _ZERO.name], f"{name}.sums", {}),
            ("Cast", [f"{name}.sums"], f"{name}.floats", {"to": TensorProto.FLOAT}),
            # The columns' scales first: ONNX Runtime fuses a product of both scales as if it were one for the input.
            ("Mul", [f"{name}.floats", stored.scales.name], f"{name}.columns", {}),
            ("Mul", [f"{name}.columns", f"{source}.scale"], f"{name}.product" if bias else name, {}),
        ]
        if bias:
            steps.append(("Add", [f"{name}.product", bias], name, {}))
        return [*quantisers, *nodes_of(steps)]


def _by_rows(source: str) -> list[NodeProto]:
    """The nodes that make of an input (..., columns) its integers, and each row's scale (..., 1)."""
    return nodes_of(
        [
            ("Abs", [source], f"{source}.sizes", {}),
            ("ReduceMax", [f"{source}.sizes", last_axis().name], f"{source}.largest", {"keepdims": 1}),
            ("Mul", [f"{source}.largest", _STEP.name], f"{source}.steps", {}),
            ("Max", [f"{source}.steps", _LEAST.name], f"{source}.scale", {}),
            ("Div", [source, f"{source}.scale"], f"{source}.scaled", {}),
            ("Add", [f"{source}.scaled", _SHIFT.name], f"{source}.shifted", {}),
            ("Round", [f"{source}.shifted"], f"{source}.whole", {}),
            ("Cast", [f"{source}.whole"], f"{source}.uint8", {"to": TensorProto.UINT8}),
        ]
    )


def _mel_filters(model: EncoderDecoder) -> Array | None:
    frontend = model.encoder.frontend
    return frontend.log_mel.filters.numpy() if isinstance(frontend, MelFrontend) else None
