"""A Whisper with its adaptation inside, as graphs in the shapes of optimum's export, for programs that know no Lect.

The encoder takes log-mel features. The decoder is two graphs under one `If`: the first call reads all tokens and the
encoder's states and gives every key and value, each later one reads a token and these. What the search would otherwise
know is in the logits: tokens that are never written, and the language that the decoder is started with, which is the
answer to a program that asks for the language. It does not know files.
"""

from collections.abc import Sequence

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from lect.engine.contract.model_config import ModelConfig
from lect.engine.model.frontend import Frames, MelFrontend
from lect.engine.model.handles import Handles, KeyValue
from lect.engine.model.network import EncoderDecoder
from lect.engine.text.vocabulary import BOS, PAD, UNK, Vocabulary

from .graphs import Constants, behind_prompts, without_prompts
from .onnx_export import OPSET, Port, export

FEATURE_FRAMES = 3000  # of a window of 30 s, which such programs always fill
NEVER = -1e9  # finite, so that probabilities are numbers
_BATCH, _TOKENS, _PAST = 2, 5, 3  # of the examples: sizes of 1 and equal ones would be kept as facts


class WhisperEncoder(nn.Module):
    """Features to states."""

    def __init__(self, model: EncoderDecoder, handles: Handles):
        super().__init__()
        self.encoder, self.handles = model.encoder, handles

    def forward(self, input_features: Tensor) -> Tensor:
        """(batch, mels, frames) -> (batch, frames / 2, dim)."""
        values = input_features.transpose(1, 2)
        assert isinstance(self.encoder.frontend, MelFrontend)
        frames = self.encoder.frontend.convolved(Frames(values, whole(values)))._replace(whole=True)
        encoded: Frames = self.encoder(self.encoder.placed(frames), self.handles)
        return encoded.values


class WhisperDecoder(nn.Module):
    """What every decoder of such a layout shares."""

    scale: Tensor
    bias: Tensor

    def __init__(self, model: EncoderDecoder, handles: Handles, vocabulary: Vocabulary):
        super().__init__()
        self.decoder, self.handles = model.decoder, handles
        led = len(vocabulary.start) - 1  # tokens that follow the start, whatever the sound
        scale, bias = torch.zeros(led + 1, 1), torch.full((led + 1, len(vocabulary)), NEVER)
        bias[torch.arange(led), list(vocabulary.start[1:])] = 0.0
        scale[led], bias[led] = 1.0, 0.0
        bias[led, [BOS, PAD, UNK, *vocabulary.suppressed]] = NEVER
        self.register_buffer("scale", scale)
        self.register_buffer("bias", bias)

    def masked(self, logits: Tensor, position: Tensor | int) -> Tensor:
        """Logits (batch, length, vocabulary) of the tokens from `position` on, as the search would have them."""
        rows = (torch.arange(logits.shape[1]) + position).clamp(max=len(self.scale) - 1)
        return logits * self.scale[rows] + self.bias[rows]


class _First(WhisperDecoder):
    def forward(self, input_ids: Tensor, encoder_hidden_states: Tensor) -> tuple[Tensor, ...]:
        """(batch, length), (batch, frames, dim) -> logits, then each layer's self and cross keys and values."""
        encoded = Frames(encoder_hidden_states, whole(encoder_hidden_states))
        past = self.decoder.past(input_ids.shape[0], self.handles, encoder_hidden_states)
        cross = self.decoder.cross(encoded, self.handles)
        logits, grown = self.decoder(input_ids, 0, past, cross, self.handles)
        pairs = zip(without_prompts(grown, self.handles), cross[0], strict=True)
        return self.masked(logits, 0), *(rows for own, encoder in pairs for rows in (*own, *encoder))


class _Later(WhisperDecoder):
    def forward(self, input_ids: Tensor, *memories: Tensor) -> tuple[Tensor, ...]:
        """(batch, 1), each layer's self and cross keys and values -> logits, each layer's grown self ones."""
        pairs = [KeyValue(*pair) for pair in zip(memories[::2], memories[1::2], strict=True)]
        own, cross = pairs[::2], pairs[1::2]
        position = own[0].key.shape[2]
        past = behind_prompts(own, self.handles)
        seen = torch.ones(1, 1, 1, 1, dtype=torch.bool)
        logits, grown = self.decoder(input_ids, position, past, (cross, [seen] * len(cross)), self.handles)
        own = without_prompts(grown, self.handles)
        return self.masked(logits, position), *(rows for memory in own for rows in memory)


def whole(values: Tensor) -> Tensor:
    """(batch,) the length of each row: all of it."""
    return torch.full((values.shape[0],), 1, dtype=torch.int64) * values.shape[1]


def whisper_encoder(model: EncoderDecoder, constants: Constants) -> onnx.ModelProto:
    """input_features (batch, mels, 3000) -> last_hidden_state; constants: the adaptation's tensors by input name."""
    features = torch.randn(_BATCH, model.config.mels, FEATURE_FRAMES)
    port = Port("input_features", features, {0: "batch"})
    exported = export(WhisperEncoder(model, Handles.from_tensors(constants)), [port], ["last_hidden_state"])
    return helper.make_model(exported.graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def whisper_decoder(model: EncoderDecoder, constants: Constants, vocabulary: Vocabulary) -> onnx.ModelProto:
    """The merged decoder, named as optimum's: `use_cache_branch` chooses."""
    handles, config = Handles.from_tensors(constants), model.config
    examples = torch.full((_BATCH, _TOKENS), 7)
    tokens = Port("input_ids", examples, {0: "batch", 1: "length"})
    states = Port("encoder_hidden_states", torch.randn(_BATCH, FEATURE_FRAMES // 2, config.dim), {0: "batch"})
    caches = _caches(config)
    outputs = ["logits", *(port.name.replace("past_key_values", "present") for port in caches)]
    own = [name for name in outputs if ".encoder." not in name]
    first = export(_First(model, handles, vocabulary), [tokens, states], outputs).graph
    one = Port("input_ids", examples[:, :1], {0: "batch"})
    later = export(_Later(model, handles, vocabulary), [one, *caches], own).graph
    _give_nothing(later, outputs, config.heads, config.head_dim)
    return _merged(first, later, [tokens, states, *caches], outputs, config.heads, config.head_dim)


def _caches(config: ModelConfig) -> list[Port]:
    sizes = {"decoder": _PAST, "encoder": FEATURE_FRAMES // 2 + 1}
    return [
        Port(
            f"past_key_values.{layer}.{stack}.{part}",
            torch.randn(_BATCH, config.heads, size, config.head_dim),
            {0: "batch", 2: f"{stack}.length"},
        )
        for layer in range(config.decoder_layers)
        for stack, size in sizes.items()
        for part in KeyValue._fields
    ]


def _give_nothing(later: onnx.GraphProto, outputs: list[str], heads: int, head_dim: int) -> None:
    """In place of the encoder's keys and values, which do not change, later calls give no rows, as optimum's do."""
    nothing = helper.make_tensor("nothing", TensorProto.FLOAT, [0, heads, 1, head_dim], [])
    later.initializer.append(nothing)
    given = {value.name: value for value in later.output}
    del later.output[:]
    for name in outputs:
        if name not in given:
            later.node.append(helper.make_node("Identity", ["nothing"], [name]))
            given[name] = helper.make_tensor_value_info(name, TensorProto.FLOAT, [0, heads, 1, head_dim])
        later.output.append(given[name])


def _merged(
    first: onnx.GraphProto,
    later: onnx.GraphProto,
    inputs: Sequence[Port],
    outputs: list[str],
    heads: int,
    head_dim: int,
) -> onnx.ModelProto:
    weights: dict[bytes, onnx.TensorProto] = {}  # by content: the branches share them
    branches = [_branch(graph, name, weights) for graph, name in ((first, "first"), (later, "later"))]
    flag = helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1])
    given = [_port(port) for port in inputs]
    made = [
        helper.make_tensor_value_info(
            name,
            TensorProto.FLOAT,
            ["batch", "length", None] if name == "logits" else [f"{name}.batch", heads, f"{name}.length", head_dim],
        )
        for name in outputs
    ]
    chosen = helper.make_node("If", ["use_cache_branch"], outputs, then_branch=branches[1], else_branch=branches[0])
    graph = helper.make_graph([chosen], "whisper_decoder", [*given, flag], made, [*weights.values()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="lect")


def _branch(graph: onnx.GraphProto, prefix: str, weights: dict[bytes, onnx.TensorProto]) -> onnx.GraphProto:
    names = {value.name: value.name for value in graph.input} | {"": ""}
    for tensor in graph.initializer:
        content = b"%d %r " % (tensor.data_type, list(tensor.dims)) + onnx.numpy_helper.to_array(tensor).tobytes()
        shared = weights.setdefault(content, tensor)
        if shared is tensor:
            shared_name = f"weight.{len(weights)}"
            names[tensor.name], tensor.name = shared_name, shared_name
        else:
            names[tensor.name] = shared.name
    for number, node in enumerate(graph.node):
        node.name = f"{prefix}/{number}"
        for ports in (node.input, node.output):
            ports[:] = [names.get(name, f"{prefix}/{name}") for name in ports]
    made = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in graph.output]
    for value in made:
        value.name = names.get(value.name, f"{prefix}/{value.name}")
        for dimension in value.type.tensor_type.shape.dim:
            dimension.ClearField("dim_param")
    return helper.make_graph(list(graph.node), prefix, [], made)


def _port(port: Port) -> onnx.ValueInfoProto:
    kind = TensorProto.INT64 if port.example.dtype == torch.int64 else TensorProto.FLOAT
    shape = [port.dynamic.get(axis, size) for axis, size in enumerate(port.example.shape)]
    if port.name.startswith("past_key_values."):
        shape[0], shape[2] = f"{port.name}.batch", f"{port.name}.length"  # of no rows before the first call
    return helper.make_tensor_value_info(port.name, kind, shape)
