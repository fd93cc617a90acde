"""From torch to ONNX: the encoder graph and the decoder-step graph of a network.

An adaptation's tensors are either all inputs, so that one pair of graphs serves any number of adaptations, or all
constants, so that the graphs need nothing else. Inputs and outputs are named as optimum names them where it has a name.
All sizes are dynamic: batch (but for an encoder that fills windows), samples, each layer's prompt length (0 is no
prompt), adapter rank (0 is no adapter), cache length (0 at the first token) and vocabulary. It does not know where
weights are stored (`storage.py`), quantisation, packs or the search.
"""

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
import torch.nn.functional as F
from onnxscript import opset18 as op
from torch import Tensor, nn

from lect.engine.contract.model_config import ModelConfig
from lect.engine.contract.tensor_names import (
    ADAPTER,
    CTC_BIAS,
    CTC_WEIGHT,
    DOWN_UP,
    EMBEDDING,
    KEY_VALUE,
    PROMPT,
    Stack,
    TensorName,
    adaptation_inputs,
    past,
    present,
)
from lect.engine.model.handles import Handles, KeyValue
from lect.engine.model.layers import DecoderLayer
from lect.engine.model.network import EncoderDecoder

# Every operator set from 18 on runs these graphs, and every execution provider has their operators.
OPSET = 18
HIDDEN_SCORE = -1e9  # finite, so that a row that sees nothing gives numbers

# The exporter keeps a size of 1 or two equal sizes as facts about every input, so the examples avoid both.
_EXAMPLE_BATCH = 2
_EXAMPLE_SAMPLES = (16_000, 13_000)
_EXAMPLE_VOCABULARY = 37
_BATCH = {0: "batch"}

Constants = Mapping[str, Tensor]  # an adaptation's tensors, by graph input name


@dataclass(frozen=True)
class Port:
    """One input of a graph."""

    name: str
    example: Tensor
    dynamic: dict[int, str]  # axis -> the size's name


class AdaptedGraph(nn.Module):
    """A network with an adaptation, whose tensors are inputs or constants."""

    def __init__(self, model: EncoderDecoder, names: Sequence[str], constants: Constants | None):
        super().__init__()
        self.model = model
        self.names = names  # of the inputs
        self.constants = constants or {}

    def named(self, tensors: Iterable[Tensor]) -> Constants:
        """The adaptation's tensors by name."""
        return {**self.constants, **dict(zip(self.names, tensors, strict=True))}


class EncoderGraph(AdaptedGraph):
    """Audio and adaptation tensors in; frames' mask, CTC log-probabilities and the decoder's cross keys/values out.

    Where the network fills clips up to a window, it takes one clip at a time, unpadded: attention over windows gains
    nothing from a batch, and hiding nothing would take a tenth of the time.
    """

    def forward(self, audio: Tensor, lengths: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """audio (batch, samples), lengths (batch,) and the named tensors -> outputs as `encoder_outputs` names them."""
        named = self.named(tensors)
        handles = Handles.from_tensors(named)
        frames = self.model.encoder.embed(audio, lengths)._replace(whole=_takes_windows(self.model.config))
        encoded = self.model.encoder(frames, handles)
        outputs = [encoded.mask().long()]
        if self.model.config.ctc:
            logits = F.linear(encoded.values, named[CTC_WEIGHT], named[CTC_BIAS])
            outputs.append(logits.log_softmax(-1))
        for index, layer in enumerate(self.model.decoder.layers):
            assert isinstance(layer, DecoderLayer)
            memory, prompt = layer.cross_attention.keys_values(encoded.values), handles.cross_prompts.get(index)
            outputs += memory if prompt is None else prompt.rows(audio.shape[0]).concatenate(memory)
        return tuple(outputs)


class DecoderGraph(AdaptedGraph):
    """One step: a token, its position, the cache and the cross keys/values in; logits and the grown cache out.

    A constant prompt stands in front of the cache at each step and is no part of it, so the cache starts empty.
    """

    def forward(self, input_ids: Tensor, position_ids: Tensor, mask: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """input_ids, position_ids (batch,); mask (batch, frames); self and cross keys/values; the named tensors."""
        decoder, layers = self.model.decoder, self.model.config.decoder_layers
        memories = [
            KeyValue(*pair) for pair in zip(tensors[: 4 * layers : 2], tensors[1 : 4 * layers : 2], strict=True)
        ]
        own, cross = memories[:layers], memories[layers:]
        handles = Handles.from_tensors(self.named(tensors[4 * layers :]))
        assert handles.vocabulary is not None
        table = handles.vocabulary.embedding
        x = decoder.embed(input_ids, position_ids, table)[:, None]
        grown: list[Tensor] = []
        for index, layer in enumerate(decoder.layers):
            seen, adapter = _seen(mask, cross[index].key.shape[2]), handles.decoder_adapters.get(index)
            prompt = handles.decoder_prompts.get(index)
            cache = own[index] if prompt is None else prompt.rows(len(input_ids)).concatenate(own[index])
            x, memory = layer(x, cache, None, cross[index], seen, adapter)
            grown += memory if prompt is None else [rows[:, :, len(prompt.key) :] for rows in memory]
        if decoder.norm is not None:
            x = decoder.norm(x)
        return F.linear(x[:, 0], table), *grown


def _seen(mask: Tensor, size: int) -> Tensor:
    """(batch, 1, 1, size) bool: padding lies at the end, so counting from there needs no prompt length."""
    padding = (1 - mask).sum(dim=1)
    return (torch.arange(size, device=mask.device) < size - padding[:, None])[:, None, None]


def encoder_inputs(config: ModelConfig) -> list[Port]:
    """The inputs of the encoder graph, in order."""
    lengths = torch.tensor(_EXAMPLE_SAMPLES[: 1 if _takes_windows(config) else None])
    return [
        Port("audio", torch.randn(len(lengths), _EXAMPLE_SAMPLES[0]) / 10, _of_clips(config) | {1: "samples"}),
        Port("lengths", lengths, _of_clips(config)),
        *_prompts(config, "encoder", config.encoder_layers),
        *_prompts(config, "cross", config.decoder_layers),
        *_adapters(config, "encoder", config.encoder_layers),
        *(_ctc_head(config) if config.ctc else []),
    ]


def encoder_outputs(config: ModelConfig) -> dict[str, dict[int, str]]:
    """The names of the encoder graph's outputs and of their sizes."""
    batch = _of_clips(config)
    outputs = {"encoder_attention_mask": batch | {1: "frames"}}
    if config.ctc:
        outputs["ctc_log_probs"] = batch | {1: "frames", 2: "vocabulary"}
    return outputs | _cache_outputs("encoder", config, batch)


def decoder_inputs(config: ModelConfig) -> list[Port]:
    """The inputs of the decoder-step graph, in order."""
    return [
        Port("input_ids", torch.tensor([4, 5]), {0: "batch"}),
        Port("position_ids", torch.tensor([3, 4]), {0: "batch"}),
        Port("encoder_attention_mask", torch.ones(_EXAMPLE_BATCH, 11, dtype=torch.int64), {0: "batch", 1: "frames"}),
        *_cache(config, "decoder", shortest=3),
        *_cache(config, "encoder", shortest=13),
        *_adapters(config, "decoder", config.decoder_layers),
        Port(EMBEDDING, torch.randn(_EXAMPLE_VOCABULARY, config.dim), {0: "vocabulary"}),
    ]


def decoder_outputs(config: ModelConfig) -> dict[str, dict[int, str]]:
    """The names of the decoder-step graph's outputs and of their sizes."""
    return {"logits": _BATCH | {1: "vocabulary"}} | _cache_outputs("decoder", config, _BATCH)


def adaptation_names(ports: Iterable[Port]) -> list[str]:
    """Which inputs an adaptation's tensors feed."""
    return adaptation_inputs(port.name for port in ports)


def export_encoder(model: EncoderDecoder, constants: Constants | None = None) -> onnx.ModelProto:
    """The encoder graph, weights inside; model: float32, in evaluation mode.

    constants: an adaptation's tensors, vocabulary included, for a graph without inputs for them.
    """
    return _adapted(EncoderGraph, model, encoder_inputs(model.config), encoder_outputs(model.config), constants)


def export_decoder(model: EncoderDecoder, constants: Constants | None = None) -> onnx.ModelProto:
    """The decoder-step graph, likewise."""
    return _adapted(DecoderGraph, model, decoder_inputs(model.config), decoder_outputs(model.config), constants)


def _adapted(
    graph: type[AdaptedGraph],
    model: EncoderDecoder,
    ports: list[Port],
    outputs: dict[str, dict[int, str]],
    constants: Constants | None,
) -> onnx.ModelProto:
    names = adaptation_names(ports)
    if constants is not None:
        ports, names = [port for port in ports if port.name not in names], []
        outputs = {name: _without_vocabulary(dynamic) for name, dynamic in outputs.items()}
    return _export(graph(model, names, constants), ports, outputs)


def _takes_windows(config: ModelConfig) -> bool:
    return config.mel_window_seconds > 0


def _of_clips(config: ModelConfig) -> dict[int, str]:
    """The dynamic axis of what there is one of a clip, where there is more than one clip."""
    return {} if _takes_windows(config) else _BATCH


def _without_vocabulary(dynamic: dict[int, str]) -> dict[int, str]:
    return {axis: size for axis, size in dynamic.items() if size != "vocabulary"}


def _prompts(config: ModelConfig, stack: Stack, layers: int) -> list[Port]:
    ports = []
    for layer in range(layers):
        for part in KEY_VALUE:  # keys and values of one prompt have one length, other layers have others
            name, shape = str(TensorName(stack, layer, PROMPT, part)), (layer + 2, config.heads, config.head_dim)
            ports.append(Port(name, torch.randn(shape), {0: f"{stack}.{layer}.prompt.length"}))
    return ports


def _adapters(config: ModelConfig, stack: Stack, layers: int) -> list[Port]:
    ports = []
    for layer in range(layers):
        rank = f"{stack}.{layer}.adapter.rank"
        for part, axis in zip(DOWN_UP, (0, 1), strict=True):
            shape = [config.dim, config.dim]
            shape[axis] = layer + 2
            ports.append(Port(str(TensorName(stack, layer, ADAPTER, part)), torch.randn(shape) / 10, {axis: rank}))
    return ports


def _ctc_head(config: ModelConfig) -> list[Port]:
    return [
        Port(CTC_WEIGHT, torch.randn(_EXAMPLE_VOCABULARY, config.dim), {0: "vocabulary"}),
        Port(CTC_BIAS, torch.randn(_EXAMPLE_VOCABULARY), {0: "vocabulary"}),
    ]


def _cache(config: ModelConfig, stack: str, shortest: int) -> list[Port]:
    ports = []
    for index, name in enumerate(_cache_names(past, stack, config)):
        shape = (_EXAMPLE_BATCH, config.heads, shortest + index // 2, config.head_dim)
        ports.append(Port(name, torch.randn(shape), {0: "batch", 2: _length(name)}))
    return ports


def _cache_outputs(stack: str, config: ModelConfig, batch: dict[int, str]) -> dict[str, dict[int, str]]:
    return {name: batch | {2: _length(name)} for name in _cache_names(present, stack, config)}


def _cache_names(name: Callable[[int, str, str], str], stack: str, config: ModelConfig) -> list[str]:
    return [name(layer, stack, part) for layer in range(config.decoder_layers) for part in KEY_VALUE]


def _length(name: str) -> str:
    # The keys and the values of one cache have one length.
    return f"{name.rpartition('.')[0]}.length"


def _export(graph: nn.Module, ports: list[Port], outputs: dict[str, dict[int, str]]) -> onnx.ModelProto:
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder, torch.no_grad():
        warnings.simplefilter("ignore", FutureWarning)  # the exporter's own use of what torch deprecates
        logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)  # no torchvision: fine
        program = torch.onnx.export(
            graph.eval(),
            tuple(port.example for port in ports),
            input_names=[port.name for port in ports],
            output_names=list(outputs),
            dynamic_shapes=_dynamic_shapes(ports),
            opset_version=OPSET,
            dynamo=True,
            custom_translation_table={torch.ops.aten.scaled_dot_product_attention.default: attention},
            verbose=False,
        )
        assert program is not None
        program.save(Path(folder) / "graph.onnx")
        exported = onnx.load(Path(folder) / "graph.onnx")
    return _tidied(exported, {port.name: port.dynamic for port in ports} | outputs)


def _dynamic_shapes(ports: list[Port]) -> tuple[Any, ...]:
    sizes = [dict.fromkeys(port.dynamic, torch.export.Dim.DYNAMIC) for port in ports]
    plain = 2 if ports[0].name == "audio" else 3  # then come the tensors behind the star
    return (*sizes[:plain], tuple(sizes[plain:])) if len(sizes) > plain else tuple(sizes)


def attention(
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
    size = query.shape[-1]
    scaled = op.Mul(query, op.Constant(value_floats=[size**-0.5] * size))
    scores = op.MatMul(scaled, op.Transpose(key, perm=[0, 1, 3, 2]))
    if attn_mask is not None:
        scores = op.Where(attn_mask, scores, op.Constant(value_float=HIDDEN_SCORE))
    return op.MatMul(op.Softmax(scores, axis=-1), value)


def _tidied(exported: onnx.ModelProto, sizes: dict[str, dict[int, str]]) -> onnx.ModelProto:
    """Names the sizes, and takes out the traces of the machine that exported."""
    for node in exported.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for field in ("metadata_props", "value_info", "doc_string"):
        exported.graph.ClearField(field)
    for value in [*exported.graph.input, *exported.graph.output]:
        value.ClearField("metadata_props")
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if axis in sizes[value.name]:
                dimension.dim_param = sizes[value.name][axis]
            assert dimension.HasField("dim_value") != (axis in sizes[value.name]), (value.name, axis)
    exported.producer_name, exported.producer_version = "lect", ""
    return exported
