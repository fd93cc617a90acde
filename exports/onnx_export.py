"""One way from a torch module to an ONNX graph, free of traces of the machine that exported it.

It does not know which networks there are.
"""

import inspect
import logging
import math
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from onnxscript import opset18 as op
from torch import Tensor, nn

# Every operator set from 18 on runs these graphs, and every execution provider has their operators.
OPSET = 18
HIDDEN_SCORE = -1e9  # finite, so that a row that sees nothing gives numbers

Sizes = dict[int, str]  # axis -> the dynamic size's name


@dataclass(frozen=True)
class Port:
    """One input of a graph."""

    name: str
    example: Tensor
    dynamic: Sizes


def export(module: nn.Module, ports: Sequence[Port], outputs: Sequence[str]) -> onnx.ModelProto:
    """The graph of a module whose `forward` takes the ports in order, with its weights inside and sizes unnamed."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder, torch.no_grad():
        warnings.simplefilter("ignore", FutureWarning)  # the exporter's own use of what torch deprecates
        logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)  # no torchvision: fine
        program = torch.onnx.export(
            module.eval(),
            tuple(port.example for port in ports),
            input_names=[port.name for port in ports],
            output_names=list(outputs),
            dynamic_shapes=_dynamic_shapes(module, ports),
            opset_version=OPSET,
            dynamo=True,
            custom_translation_table={
                torch.ops.aten.scaled_dot_product_attention.default: _attention,
                torch.ops.aten.gelu.default: _gelu,
            },
            verbose=False,
        )
        assert program is not None
        program.save(Path(folder) / "graph.onnx")
        exported = onnx.load(Path(folder) / "graph.onnx")
    return _without_traces(exported)


def name_sizes(exported: onnx.ModelProto, sizes: Mapping[str, Sizes]) -> None:
    """Names the dynamic sizes of inputs and outputs, of which `sizes` must list all and no other."""
    for value in [*exported.graph.input, *exported.graph.output]:
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if axis in sizes[value.name]:
                dimension.dim_param = sizes[value.name][axis]
            assert dimension.HasField("dim_value") != (axis in sizes[value.name]), (value.name, axis)


def _dynamic_shapes(module: nn.Module, ports: Sequence[Port]) -> tuple[Any, ...]:
    sizes = [dict.fromkeys(port.dynamic, torch.export.Dim.DYNAMIC) for port in ports]
    parameters = inspect.signature(module.forward).parameters.values()
    named = sum(parameter.kind is not parameter.VAR_POSITIONAL for parameter in parameters)
    return (*sizes[:named], tuple(sizes[named:])) if len(sizes) > named else tuple(sizes)


def _attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Attention in plain operators, for the exporter's table; arguments as PyTorch's."""
    # The exporter's own translation scales keys and queries apart and guards against NaN: half as many nodes again, and
    # a third fewer tokens a second. ONNX Runtime would draw a scale that is one number into the product, which is then
    # four times as slow for a single query.
    assert not is_causal and scale is None and not enable_gqa
    size, heads = query.shape[-1], query.shape[1]
    scaled = op.Mul(query, op.Constant(value_floats=[size**-0.5] * size))
    turned = op.Transpose(key, perm=[0, 1, 3, 2])
    if attn_mask is None and query.shape[2] != 1:
        # A window's scores head by head: of all heads at once they are most of what an encoder takes in memory.
        parts = zip(*(op.Split(each, num_outputs=heads, axis=1) for each in (scaled, turned, value)), strict=True)
        return op.Concat(*(op.MatMul(op.Softmax(op.MatMul(q, k), axis=-1), v) for q, k, v in parts), axis=1)
    scores = op.MatMul(scaled, turned)
    if attn_mask is not None:
        scores = op.Where(attn_mask, scores, op.Constant(value_float=HIDDEN_SCORE))
    return op.MatMul(op.Softmax(scores, axis=-1), value)


def _gelu(values: Any, approximate: str = "none") -> Any:
    """GELU in the order that ONNX Runtime knows it by, and fuses; arguments as PyTorch's."""
    assert approximate == "none"
    error = op.Erf(op.Div(values, op.Constant(value_float=math.sqrt(2))))
    return op.Mul(op.Mul(values, op.Add(error, op.Constant(value_float=1.0))), op.Constant(value_float=0.5))


def _without_traces(exported: onnx.ModelProto) -> onnx.ModelProto:
    for node in exported.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for field in ("metadata_props", "value_info", "doc_string"):
        exported.graph.ClearField(field)
    for value in [*exported.graph.input, *exported.graph.output]:
        value.ClearField("metadata_props")
    exported.producer_name, exported.producer_version = "lect", ""
    return exported
