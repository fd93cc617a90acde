"""A backbone's graphs on disk, in both builds.

float32 lies beside the backbone's weights, which it points into; int8 in a folder of its own. It does not know
adaptations or packs.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from lect.engine.contract.files import atomic_path
from lect.engine.contract.tensor_names import EMBEDDING
from lect.engine.model.backbone import Backbone, write_sums
from lect.engine.model.frontend import MelFrontend
from lect.engine.model.network import EncoderDecoder
from lect.exports.graph_weights import halve, point_into
from lect.exports.graphs import Constants, export_decoder, export_encoder
from lect.exports.parity import Clips, ParityReport, System, check_parity, probes
from lect.exports.sessions import (
    BACKBONE_SHA256,
    BUILD,
    DECODER,
    ENCODER,
    POSITIONS,
    VOCABULARY_COLUMNS,
    VOCABULARY_SCALES,
    WINDOW_SECONDS,
)

BUILDS = ("float32", "int8")
LARGE_VOCABULARY = 4_096  # symbols, from which on reading them takes a good part of a token's time


def build_backbone(backbone: Backbone, model: EncoderDecoder, clips: Clips | None = None) -> ParityReport:
    """Exports `model` (the backbone's network, as `load_model` gives it) into the backbone's folder; renews its sums.

    The graphs take their place only once they have passed the gate, on `clips` or on `probes`. Raises ParityError.
    """
    # Beside the backbone's folder, whose sums must not name it, and on the same disk, so that renaming is all it takes.
    with tempfile.TemporaryDirectory(prefix=f".{backbone.folder.name}.", dir=backbone.folder.parent) as folder:
        trial = replace(backbone, folder=Path(folder))
        shutil.copyfile(backbone.weights, trial.weights)
        _save_graphs(trial, model)
        system = System(model, {}, backbone.vocabulary)
        report = check_parity(system, trial.graphs("float32"), clips or probes(), int8=trial.graphs("int8"))
        backbone.graphs("int8").mkdir(exist_ok=True)
        for build in BUILDS:
            for name in (ENCODER, DECODER):
                os.replace(trial.graphs(build) / name, backbone.graphs(build) / name)
    write_sums(backbone.folder)
    return report


def has_graphs(backbone: Backbone) -> bool:
    """Whether the backbone was exported, in both builds."""
    return all((backbone.graphs(build) / name).is_file() for build in BUILDS for name in (ENCODER, DECODER))


def export_graphs(model: EncoderDecoder, constants: Constants | None = None) -> dict[str, onnx.ModelProto]:
    """Both graphs by file name, float32, weights inside; constants: as for `export_encoder`."""
    return {ENCODER: export_encoder(model, constants), DECODER: export_decoder(model, constants)}


def quantized(graph: onnx.ModelProto, model: EncoderDecoder) -> onnx.ModelProto:
    """The graph with the matrices of its products as int8, one scale a column; inputs are quantised as they come.

    Convolutions stay as they are: quantised, they are slower, and cost most of the accuracy. So do the mel filters: the
    logarithm behind them magnifies what is nearly nothing. Weights have 7 bits, since processors without VNNI add pairs
    of products in 16 bits. A large vocabulary that is an input is one as int8 too.
    """
    log = logging.getLogger()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        log.addFilter(_no_advice)
        try:
            quantize_dynamic(
                _with_unshared_weights(graph),
                path,
                op_types_to_quantize=["MatMul"],
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=_mel_products(graph, model),
            )
        finally:
            log.removeFilter(_no_advice)
        small = onnx.load(path)
    halve(small)
    if model.config.vocab_size >= LARGE_VOCABULARY and any(x.name == EMBEDDING for x in small.graph.input):
        _quantize_vocabulary(small.graph)
    return small


def own_facts(model: EncoderDecoder) -> dict[str, str]:
    """What a graph says of its network."""
    return {POSITIONS: str(model.config.decoder_positions), WINDOW_SECONDS: str(model.config.mel_window_seconds)}


def save_graph(graph: onnx.ModelProto, path: Path, facts: Mapping[str, str]) -> None:
    """Writes a graph atomically, with facts about it that any ONNX tool shows."""
    onnx.helper.set_model_props(graph, dict(facts))
    with atomic_path(path) as temporary:
        temporary.write_bytes(graph.SerializeToString(deterministic=True))


def _save_graphs(backbone: Backbone, model: EncoderDecoder) -> None:
    facts = {"lect.backbone": backbone.name, BACKBONE_SHA256: backbone.sha256} | own_facts(model)
    for name, graph in export_graphs(model).items():
        save_graph(quantized(graph, model), backbone.graphs("int8") / name, facts | {BUILD: "int8"})
        point_into(graph, backbone.weights)
        save_graph(graph, backbone.graphs("float32") / name, facts | {BUILD: "float32"})


def _quantize_vocabulary(graph: onnx.GraphProto) -> None:
    """Logits by an int8 product with inputs that the runtime makes of the vocabulary, in place of a float32 one."""
    makers = {name: node for node in graph.node for name in node.output}
    product = makers["logits"]
    turned = makers[product.input[1]]
    assert (product.op_type, turned.op_type, [*turned.input]) == ("MatMul", "Transpose", [EMBEDDING])
    nodes: list[tuple[str, list[str], list[str], dict[str, Any]]] = [
        ("DynamicQuantizeLinear", [product.input[0]], ["said", "said.scale", "said.zero"], {}),
        ("MatMulInteger", ["said", VOCABULARY_COLUMNS, "said.zero"], ["logits.sums"], {}),
        ("Cast", ["logits.sums"], ["logits.floats"], {"to": TensorProto.FLOAT}),
        ("Mul", ["logits.floats", "said.scale"], ["logits.scaled"], {}),
        ("Mul", ["logits.scaled", VOCABULARY_SCALES], ["logits"], {}),
    ]
    kept = [node for node in graph.node if node not in (product, turned)]
    graph.ClearField("node")
    graph.node.extend(kept)
    graph.node.extend(helper.make_node(kind, given, made, made[0], **how) for kind, given, made, how in nodes)
    rows, dim = next(port for port in graph.input if port.name == EMBEDDING).type.tensor_type.shape.dim
    graph.input.append(
        helper.make_tensor_value_info(VOCABULARY_COLUMNS, TensorProto.INT8, [dim.dim_value, rows.dim_param])
    )
    graph.input.append(helper.make_tensor_value_info(VOCABULARY_SCALES, TensorProto.FLOAT, [rows.dim_param]))


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
