"""A Whisper with its adaptation inside, as the two graphs that sherpa-onnx runs.

Its features end in zeros where a Whisper was taught silence, and are shorter than a window, so the encoder fills them.
It gives the keys and values of all layers that the decoder listens to. The decoder's own ones lie in a cache
of as many rows as it has positions, of which `offset` are filled. What its search does not know is in the logits, as in
`whisper_graphs`. It does not know files.
"""

from collections.abc import Sequence
from dataclasses import replace

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from lect.engine.model.frontend import Frames
from lect.engine.model.handles import Handles, KeyValue
from lect.engine.model.network import EncoderDecoder
from lect.engine.text.vocabulary import Vocabulary

from .graphs import Constants, behind_prompts, without_prompts
from .onnx_export import OPSET, Port, export
from .whisper_graphs import FEATURE_FRAMES, WhisperDecoder, WhisperEncoder, whole

PARTS = ("k", "v")
CROSS, OWN = "n_layer_cross", "n_layer_self"
SILENCE = -2.0  # beside a window's loudest feature: eight orders of magnitude, a quarter each
_TOKENS, _PAST, _FRAMES = 5, 3, 700  # of the examples: sizes of 1 and equal ones would be kept as facts


class _Encoder(nn.Module):
    def __init__(self, model: EncoderDecoder, handles: Handles):
        super().__init__()
        self.states, self.decoder = WhisperEncoder(model, handles), model.decoder
        self.handles = replace(handles, cross_prompts={})  # which the decoder's graph holds

    def forward(self, mel: Tensor) -> tuple[Tensor, ...]:
        """(batch, mels, frames of sound) -> keys and values, (layers, batch, frames of the window, dim) each."""
        states = self.states(_window(mel))
        memories, _ = self.decoder.cross(Frames(states, whole(states)), self.handles)
        return _stacked(memories)


def _window(features: Tensor) -> Tensor:
    """(batch, mels, any frames) -> with the silence of a window in place of nothing."""
    nothing = features.new_zeros(features.shape[0], features.shape[1], FEATURE_FRAMES)
    window = torch.cat([features, nothing], dim=2)[:, :, :FEATURE_FRAMES]
    silence = features.amax(dim=(1, 2), keepdim=True) + SILENCE
    return torch.where((window == 0).all(dim=1, keepdim=True), silence, window)


class _Decoder(WhisperDecoder):
    def forward(self, tokens: Tensor, *caches: Tensor) -> tuple[Tensor, ...]:
        """(batch, length), own and cross keys and values, (layers, batch, rows, dim) each -> logits, grown own ones."""
        own, cross = (self._layers(*pair) for pair in (caches[:2], caches[2:]))
        position = caches[0].shape[2]
        prompts = self.handles.cross_prompts
        heard = [
            memory if index not in prompts else prompts[index].rows(tokens.shape[0]).concatenate(memory)
            for index, memory in enumerate(cross)
        ]
        seen = torch.ones(1, 1, 1, 1, dtype=torch.bool)
        past = behind_prompts(own, self.handles)
        logits, grown = self.decoder(tokens, position, past, (heard, [seen] * len(heard)), self.handles)
        return self.masked(logits, position), *_stacked(without_prompts(grown, self.handles))

    def _layers(self, keys: Tensor, values: Tensor) -> list[KeyValue]:
        """(layers, batch, rows, dim) -> each layer's, (batch, heads, rows, head_dim)."""
        sizes = (self.decoder.config.heads, self.decoder.config.head_dim)
        return [
            KeyValue(*(rows.unflatten(2, sizes).transpose(1, 2) for rows in pair))
            for pair in zip(keys, values, strict=True)
        ]


def _stacked(memories: Sequence[KeyValue]) -> tuple[Tensor, ...]:
    return tuple(
        torch.stack([rows.transpose(1, 2).flatten(2) for rows in part]) for part in zip(*memories, strict=True)
    )


def sherpa_encoder(model: EncoderDecoder, constants: Constants) -> onnx.ModelProto:
    """mel (batch, mels, frames) -> n_layer_cross_k and _v; constants: the adaptation's tensors by input name."""
    port = Port("mel", torch.randn(2, model.config.mels, _FRAMES), {0: "n_audio", 2: "T"})
    outputs = [f"{CROSS}_{part}" for part in PARTS]
    return _plain(export(_Encoder(model, Handles.from_tensors(constants)), [port], outputs).graph)


def sherpa_decoder(model: EncoderDecoder, constants: Constants, vocabulary: Vocabulary) -> onnx.ModelProto:
    """tokens, the caches and `offset` -> logits and the caches, with the tokens' rows behind the `offset` first."""
    config = model.config
    shape = (config.decoder_layers, 2)
    own = [Port(f"past_{part}", torch.randn(*shape, _PAST, config.dim), {1: "n_audio", 2: "past"}) for part in PARTS]
    frames = FEATURE_FRAMES // 2
    cross = [Port(f"{CROSS}_{part}", torch.randn(*shape, frames, config.dim), {1: "n_audio"}) for part in PARTS]
    tokens = Port("tokens", torch.full((2, _TOKENS), 7), {0: "n_audio", 1: "n_tokens"})
    outputs = ["logits", *(f"grown_{part}" for part in PARTS)]
    module = _Decoder(model, Handles.from_tensors(constants), vocabulary)
    graph = export(module, [tokens, *own, *cross], outputs).graph
    _in_fixed_caches(graph, config.decoder_layers, config.decoder_positions, config.dim)
    return _plain(graph)


def _in_fixed_caches(graph: onnx.GraphProto, layers: int, rows: int, dim: int) -> None:
    """The filled rows go in; the grown ones come out in front of what is left of the rows."""
    constants = {"from_start": 0, "rows": rows, "over_rows": 2}
    graph.initializer.extend(
        helper.make_tensor(name, TensorProto.INT64, [1], [value]) for name, value in constants.items()
    )
    before, behind = [], []
    for part in PARTS:
        given, filled, grown, left = f"in_{OWN}_{part}_cache", f"past_{part}", f"grown_{part}", f"left_{part}"
        before.append(helper.make_node("Slice", [given, "from_start", "offset", "over_rows"], [filled]))
        behind.append(helper.make_node("Shape", [grown], [f"length_{part}"], start=2, end=3))
        behind.append(helper.make_node("Slice", [given, f"length_{part}", "rows", "over_rows"], [left]))
        behind.append(helper.make_node("Concat", [grown, left], [f"out_{OWN}_{part}_cache"], axis=2))
    nodes = [*before, *graph.node, *behind]
    del graph.node[:]
    graph.node.extend(nodes)
    inputs = {value.name: value for value in graph.input}
    shape = (layers, "n_audio", rows, dim)
    caches = {
        way: [helper.make_tensor_value_info(f"{way}_{OWN}_{part}_cache", TensorProto.FLOAT, shape) for part in PARTS]
        for way in ("in", "out")
    }
    offset = helper.make_tensor_value_info("offset", TensorProto.INT64, [1])
    ports = [inputs["tokens"], *caches["in"], *(inputs[f"{CROSS}_{part}"] for part in PARTS), offset]
    results = [value for value in graph.output if value.name == "logits"] + caches["out"]
    for field, values in ((graph.input, ports), (graph.output, results)):
        del field[:]
        field.extend(values)


def _plain(graph: onnx.GraphProto) -> onnx.ModelProto:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8, producer_name="lect")
