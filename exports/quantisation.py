"""float32 graphs to int8 ones: products of 8-bit weights and of inputs quantised as they come."""

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from lect.engine.contract.tensor_names import EMBEDDING
from lect.engine.model.frontend import MelFrontend
from lect.engine.model.network import EncoderDecoder

from .graph_weights import halve
from .onnx_network import VOCABULARY_COLUMNS, VOCABULARY_SCALES

LARGE_VOCABULARY = 4_096  # symbols, from which on reading them takes a good part of a token's time


def quantized(graph: onnx.ModelProto, model: EncoderDecoder) -> onnx.ModelProto:
    """The graph with the matrices of its products as int8, one scale a column; inputs are quantised as they come.

    Convolutions stay as they are: quantised, they are slower, and cost most of the accuracy. So do the mel filters: the
    logarithm behind them magnifies what is nearly nothing. Weights have 7 bits, since processors without VNNI add pairs
    of products in 16 bits. A large vocabulary that is an input is one as int8 too.
    """
    small = _quantized_products(_with_unshared_weights(graph), _mel_products(graph, model))
    halve(small)
    if model.config.vocab_size >= LARGE_VOCABULARY and any(x.name == EMBEDDING for x in small.graph.input):
        _quantize_vocabulary(small.graph)
    return small


def _quantized_products(graph: onnx.ModelProto, excluded: list[str]) -> onnx.ModelProto:
    log = logging.getLogger()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        log.addFilter(_no_advice)
        try:
            quantize_dynamic(
                graph,
                path,
                op_types_to_quantize=["MatMul"],
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=excluded,
            )
        finally:
            log.removeFilter(_no_advice)
        return onnx.load(path)


def _quantize_vocabulary(graph: onnx.GraphProto) -> None:
    """Logits by an int8 product with inputs that the runtime makes of the vocabulary, in place of a float32 one."""
    makers = {name: node for node in graph.node for name in node.output}
    product = makers["logits"]
    turned = makers[product.input[1]]
    assert (product.op_type, turned.op_type, [*turned.input]) == ("MatMul", "Transpose", [EMBEDDING])
    kept = [node for node in graph.node if node not in (product, turned)]
    graph.ClearField("node")
    graph.node.extend(kept)
    graph.node.extend(_int8_logits(product.input[0]))
    rows, dim = next(port for port in graph.input if port.name == EMBEDDING).type.tensor_type.shape.dim
    columns, scales = [dim.dim_value, rows.dim_param], [rows.dim_param]
    graph.input.append(helper.make_tensor_value_info(VOCABULARY_COLUMNS, TensorProto.INT8, columns))
    graph.input.append(helper.make_tensor_value_info(VOCABULARY_SCALES, TensorProto.FLOAT, scales))


def _int8_logits(states: str) -> list[onnx.NodeProto]:
    nodes: list[tuple[str, list[str], list[str], dict[str, Any]]] = [
        ("DynamicQuantizeLinear", [states], ["states.int8", "states.scale", "states.zero"], {}),
        ("MatMulInteger", ["states.int8", VOCABULARY_COLUMNS, "states.zero"], ["logits.sums"], {}),
        ("Cast", ["logits.sums"], ["logits.floats"], {"to": TensorProto.FLOAT}),
        ("Mul", ["logits.floats", "states.scale"], ["logits.scaled"], {}),
        ("Mul", ["logits.scaled", VOCABULARY_SCALES], ["logits"], {}),
    ]
    return [helper.make_node(kind, inputs, made, made[0], **how) for kind, inputs, made, how in nodes]


def _no_advice(record: logging.LogRecord) -> bool:
    # The quantiser would have us run a pre-processing that changes names and gains nothing.
    return "pre-processing before quantization" not in record.getMessage()


def _with_unshared_weights(graph: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which no Gemm shares its matrix: the quantiser turns it round for them, whoever else reads it."""
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    weights = {tensor.name: tensor for tensor in copy.graph.initializer}
    for node in copy.graph.node:
        if node.op_type == "Gemm" and node.input[1] in weights:
            own = copy.graph.initializer.add()
            own.CopyFrom(weights[node.input[1]])
            own.name = node.input[1] = f"{node.name}.weight"
    return copy


def _mel_products(graph: onnx.ModelProto, model: EncoderDecoder) -> list[str]:
    frontend = model.encoder.frontend
    if not isinstance(frontend, MelFrontend):
        return []
    filters = frontend.log_mel.filters.numpy()
    weights = {
        tensor.name
        for tensor in graph.graph.initializer
        if tuple(tensor.dims) == filters.shape and np.array_equal(numpy_helper.to_array(tensor), filters)
    }
    return [node.name for node in graph.graph.node if weights & set(node.input)]
