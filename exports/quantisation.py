"""float32 graphs to int8 ones: products of 8-bit weights and of inputs quantised as they come.

A product is written as ONNX Runtime fuses it: DynamicQuantizeLinear, once for all products of one input, then
MatMulInteger, and the sums times both scales.
"""

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
LARGE_VOCABULARY = 4_096  # symbols, from which on reading them takes a good part of a token's time


def quantized(graph: onnx.ModelProto, model: EncoderDecoder, weights: WeightsFile | None = None) -> onnx.ModelProto:
    """The graph with the matrices of its products as int8, one scale a column; inputs are quantised as they come.

    weights: where they lie beside the graph, which then points to them; a matrix that is not there in 8 bits is
    quantised. Convolutions stay as they are: quantised, they are slower, and cost most of the accuracy. So do the mel
    filters: the logarithm behind them magnifies what is nearly nothing.
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
        weights = [*graph.graph.initializer, *made, last_axis()]
        replace_graph(graph, [tensor for tensor in weights if tensor.name in read], self.nodes)

    def _product(self, node: NodeProto) -> Stored | None:
        """The matrix of a product by a weight; None for any other node."""
        if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in self.tables:
            return None
        if self.filters is not None and np.array_equal(self.tables[node.input[1]], self.filters):
            return None
        turned = node.op_type == "Gemm" and any(each.name == "transB" and each.i for each in node.attribute)
        return self._of(node.input[1], rows=turned)

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
        quantisers = [] if source in self.inputs else [_dynamic(source)]
        self.inputs.add(source)
        bias = node.input[2] if len(node.input) > 2 else None
        steps: list[Step] = [
            (
                "MatMulInteger",
                [f"{source}.int8", stored.values.name, f"{source}.zero"],
                f"{name}.sums",
                {},
            ),
            ("Cast", [f"{name}.sums"], f"{name}.floats", {"to": TensorProto.FLOAT}),
            ("Mul", [f"{source}.scale", stored.scales.name], f"{name}.scales", {}),
            ("Mul", [f"{name}.floats", f"{name}.scales"], f"{name}.product" if bias else name, {}),
        ]
        if bias:
            steps.append(("Add", [f"{name}.product", bias], name, {}))
        return [*quantisers, *nodes_of(steps)]


def _dynamic(source: str) -> NodeProto:
    outputs = [f"{source}.int8", f"{source}.scale", f"{source}.zero"]
    return onnx.helper.make_node("DynamicQuantizeLinear", [source], outputs, outputs[0])


def _mel_filters(model: EncoderDecoder) -> Array | None:
    frontend = model.encoder.frontend
    return frontend.log_mel.filters.numpy() if isinstance(frontend, MelFrontend) else None
