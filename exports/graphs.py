"""From torch to ONNX: the encoder graph and the decoder-step graph of a network.

An adaptation's tensors are either all inputs, so that one pair of graphs serves any number of adaptations, or all
constants, so that the graphs need nothing else. Inputs and outputs are named as optimum names them where it has a name.
All sizes are dynamic: batch (but for an encoder that fills windows), samples, each layer's prompt length (0 is no
prompt), adapter rank (0 is no adapter), cache length (0 at the first token) and vocabulary. It does not know where
weights are stored (`graph_weights.py`), quantisation, packs or the search.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import onnx
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lect.engine.contract.model_config import ModelConfig
from lect.engine.contract.tensor_names import (
    ADAPTER,
    ALIGNMENT,
    ATTENTION,
    CTC_BIAS,
    CTC_LOG_PROBS,
    CTC_WEIGHT,
    DOWN_UP,
    EMBEDDING,
    KEY_VALUE,
    LORA,
    PROMPT,
    Stack,
    TensorName,
    adaptation_inputs,
    past,
    present,
)
from lect.engine.model.handles import Handles, KeyValue
from lect.engine.model.network import EncoderDecoder

from .onnx_export import Port, Sizes, export, name_sizes

# The exporter keeps a size of 1 or two equal sizes as facts about every input, so the examples avoid both.
_EXAMPLE_BATCH = 2
_EXAMPLE_ROWS = 6  # hypotheses, each clip's side by side
_EXAMPLE_SAMPLES = (16_000, 13_000)
_EXAMPLE_VOCABULARY = 37
_BATCH, _CLIPS = {0: "batch"}, {0: "clips"}

Constants = Mapping[str, Tensor]  # an adaptation's tensors, by graph input name


class AdaptedGraph(nn.Module):
    """A network with an adaptation, whose tensors are inputs or constants."""

    def __init__(self, model: EncoderDecoder, names: Sequence[str], constants: Constants | None):
        super().__init__()
        known = adaptation_inputs(constants or ())
        assert constants is None or len(known) == len(constants), "a network's own weights belong into the network"
        self.model = model
        self.names = names  # of the inputs
        self.constants = constants or {}

    def named(self, tensors: Iterable[Tensor]) -> Constants:
        """The adaptation's tensors by name."""
        return {**self.constants, **dict(zip(self.names, tensors, strict=True))}


class EncoderGraph(AdaptedGraph):
    """Audio and adaptation tensors in; frames' mask, CTC log-probabilities and the decoder's cross keys/values out.

    Where the network fills clips up to a window, it takes one clip at a time, filled by whoever runs it, to any length:
    attention over windows gains nothing from a batch, and hiding nothing would take a tenth of the time.
    """

    def forward(self, audio: Tensor, lengths: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """audio (batch, samples), lengths (batch,) and the named tensors -> outputs as `encoder_outputs` names them."""
        named = self.named(tensors)
        handles = Handles.from_tensors(named)
        encoder = self.model.encoder
        frames = encoder.placed(encoder.frontend(audio, lengths))._replace(whole=takes_windows(self.model.config))
        encoded = encoder(frames, handles)
        outputs = [encoded.mask().long()]
        if CTC_WEIGHT in named:
            logits = F.linear(self.model.ctc_frames(encoded).values, named[CTC_WEIGHT], named[CTC_BIAS])
            outputs.append(logits.log_softmax(-1))
        memories, _ = self.model.decoder.cross(encoded, handles)
        return (*outputs, *(rows for memory in memories for rows in memory))


class DecoderGraph(AdaptedGraph):
    """One step: a token, its position, the cache and the cross keys/values in; logits and the grown cache out.

    Where the backbone has alignment heads, their weights over the frames too: where in the sound the next token lies.
    A constant prompt stands in front of the cache at each step and is no part of it, so the cache starts empty.
    """

    def forward(self, input_ids: Tensor, position_ids: Tensor, mask: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """input_ids, position_ids (batch,); mask (clips, frames); self and cross keys/values; the named tensors."""
        layers = self.model.config.decoder_layers
        pairs = zip(tensors[: 4 * layers : 2], tensors[1 : 4 * layers : 2], strict=True)
        memories = [KeyValue(*pair) for pair in pairs]
        handles = Handles.from_tensors(self.named(tensors[4 * layers :]))
        assert handles.vocabulary is not None
        cache = behind_prompts(memories[:layers], handles)
        cross = memories[layers:], [_seen(mask, memory.key.shape[2]) for memory in memories[layers:]]
        decoder = self.model.decoder
        x, grown, attended = decoder.states(input_ids[:, None], position_ids[:, None], cache, cross, handles)
        aligned = decoder.alignment(attended, mask.shape[1])
        outputs = [F.linear(x[:, 0], handles.vocabulary.embedding), *([] if aligned is None else [aligned])]
        return *outputs, *(rows for memory in without_prompts(grown, handles) for rows in memory)


def behind_prompts(memories: Sequence[KeyValue], handles: Handles) -> list[KeyValue]:
    """Each layer's cache, with its constant prompt, if any, in front of it."""
    prompts = [handles.decoder_prompts.get(layer) for layer in range(len(memories))]
    return [
        memory if prompt is None else prompt.rows(memory.key.shape[0]).concatenate(memory)
        for prompt, memory in zip(prompts, memories, strict=True)
    ]


def without_prompts(memories: Sequence[KeyValue], handles: Handles) -> list[KeyValue]:
    """The caches alone."""
    lengths = {layer: len(prompt.key) for layer, prompt in handles.decoder_prompts.items()}
    return [
        KeyValue(*(rows[:, :, lengths[layer] :] for rows in memory)) if layer in lengths else memory
        for layer, memory in enumerate(memories)
    ]


def _seen(mask: Tensor, size: int) -> Tensor:
    """(batch, 1, 1, size) bool: padding lies at the end, so counting from there needs no prompt length."""
    padding = (1 - mask).sum(dim=1)
    return (torch.arange(size, device=mask.device) < size - padding[:, None])[:, None, None]


def encoder_inputs(config: ModelConfig) -> list[Port]:
    """The inputs of the encoder graph, in order."""
    lengths = torch.tensor(_EXAMPLE_SAMPLES[: 1 if takes_windows(config) else None])
    return [
        Port("audio", torch.randn(len(lengths), _EXAMPLE_SAMPLES[0]) / 10, _of_clips(config) | {1: "samples"}),
        Port("lengths", lengths, _of_clips(config)),
        *_prompts(config, "encoder", config.encoder_layers),
        *_prompts(config, "cross", config.decoder_layers),
        *_adapters(config, "encoder", config.encoder_layers),
        *_updates(config),
        *_ctc_head(config),
    ]


def encoder_outputs(config: ModelConfig) -> dict[str, Sizes]:
    """The names of the encoder graph's outputs and of their sizes."""
    batch = _of_clips(config)
    ctc_frames = "frames" if config.ctc_stride == 1 else "ctc.frames"
    outputs = {
        "encoder_attention_mask": batch | {1: "frames"},
        CTC_LOG_PROBS: batch | {1: ctc_frames, 2: "vocabulary"},
    }
    return outputs | _cache_outputs("encoder", config, batch)


def decoder_inputs(config: ModelConfig) -> list[Port]:
    """The inputs of the decoder-step graph, in order."""
    return [
        Port("input_ids", torch.arange(_EXAMPLE_ROWS) + 4, _BATCH),
        Port("position_ids", torch.arange(_EXAMPLE_ROWS) + 3, _BATCH),
        Port("encoder_attention_mask", torch.ones(_EXAMPLE_BATCH, 11, dtype=torch.int64), _CLIPS | {1: "frames"}),
        *_cache(config, "decoder", _EXAMPLE_ROWS, _BATCH, shortest=3),
        *_cache(config, "encoder", _EXAMPLE_BATCH, _CLIPS, shortest=13),
        *_adapters(config, "decoder", config.decoder_layers),
        Port(EMBEDDING, torch.randn(_EXAMPLE_VOCABULARY, config.dim), {0: "vocabulary"}),
    ]


def decoder_outputs(config: ModelConfig) -> dict[str, Sizes]:
    """The names of the decoder-step graph's outputs and of their sizes."""
    aligned = {ALIGNMENT: _BATCH | {2: "frames"}} if config.alignment_heads else {}
    return {"logits": _BATCH | {1: "vocabulary"}} | aligned | _cache_outputs("decoder", config, _BATCH)


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


def export_own_decoder(model: EncoderDecoder) -> onnx.ModelProto:
    """The decoder-step graph with the network's own vocabulary inside; all else that an adaptation changes is input."""
    ports = [port for port in decoder_inputs(model.config) if port.name != EMBEDDING]
    outputs = {name: _without_vocabulary(dynamic) for name, dynamic in decoder_outputs(model.config).items()}
    return _exported(DecoderGraph(model, adaptation_names(ports), {EMBEDDING: model.decoder.embedding}), ports, outputs)


def _adapted(
    graph: type[AdaptedGraph],
    model: EncoderDecoder,
    ports: list[Port],
    outputs: dict[str, Sizes],
    constants: Constants | None,
) -> onnx.ModelProto:
    names = adaptation_names(ports)
    if constants is not None:
        if CTC_WEIGHT not in constants:
            outputs = {name: dynamic for name, dynamic in outputs.items() if name != CTC_LOG_PROBS}
        ports, names = [port for port in ports if port.name not in names], []
        outputs = {name: _without_vocabulary(dynamic) for name, dynamic in outputs.items()}
    return _exported(graph(model, names, constants), ports, outputs)


def _exported(graph: AdaptedGraph, ports: list[Port], outputs: Mapping[str, Sizes]) -> onnx.ModelProto:
    exported = export(graph, ports, list(outputs))
    name_sizes(exported, {port.name: port.dynamic for port in ports} | dict(outputs))
    return exported


def takes_windows(config: ModelConfig) -> bool:
    """Whether the encoder graph takes one clip at a time."""
    return config.mel_window_seconds > 0


def _of_clips(config: ModelConfig) -> Sizes:
    """The dynamic axis of what there is one of a clip, where there is more than one clip."""
    return {} if takes_windows(config) else _BATCH


def _without_vocabulary(dynamic: Sizes) -> Sizes:
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


def _updates(config: ModelConfig) -> list[Port]:
    """Low-rank updates of all projections of the encoder."""
    sizes = dict.fromkeys(ATTENTION, (config.dim, config.dim))
    sizes |= {"up": (config.dim, config.ffn_dim), "down": (config.ffn_dim, config.dim)}
    ports = []
    for layer in range(config.encoder_layers):
        for name, (size_in, size_out) in sizes.items():
            rank = {"down": (0, (layer + 2, size_in)), "up": (1, (size_out, layer + 2))}
            for part, (axis, shape) in rank.items():
                dynamic = {axis: f"encoder.{layer}.{LORA[name]}.rank"}
                ports.append(
                    Port(str(TensorName("encoder", layer, LORA[name], part)), torch.randn(shape) / 10, dynamic)
                )
    return ports


def _ctc_head(config: ModelConfig) -> list[Port]:
    return [
        Port(CTC_WEIGHT, torch.randn(_EXAMPLE_VOCABULARY, config.dim), {0: "vocabulary"}),
        Port(CTC_BIAS, torch.randn(_EXAMPLE_VOCABULARY), {0: "vocabulary"}),
    ]


def _cache(config: ModelConfig, stack: str, rows: int, axis: Sizes, shortest: int) -> list[Port]:
    ports = []
    for index, name in enumerate(_cache_names(past, stack, config)):
        shape = (rows, config.heads, shortest + index // 2, config.head_dim)
        ports.append(Port(name, torch.randn(shape), axis | {2: _length(name)}))
    return ports


def _cache_outputs(stack: str, config: ModelConfig, batch: Sizes) -> dict[str, Sizes]:
    return {name: batch | {2: _length(name)} for name in _cache_names(present, stack, config)}


def _cache_names(name: Callable[[int, str, str], str], stack: str, config: ModelConfig) -> list[str]:
    return [name(layer, stack, part) for layer in range(config.decoder_layers) for part in KEY_VALUE]


def _length(name: str) -> str:
    # The keys and the values of one cache have one length.
    return f"{name.rpartition('.')[0]}.length"
