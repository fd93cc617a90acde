"""Handles: what an adaptation hands to the model's calls, and the flat tensors they are stored as.

The names of the flat tensors are those of the exported graph's inputs and of a pack's tensors; absent is the bare
backbone. It does not know how the tensors were made or trained.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

T = TypeVar("T")


class KeyValue(NamedTuple):
    """Keys and values of one attention.

    A prompt (length, heads, head_dim), or rows (batch, heads, length, head_dim).
    """

    key: Tensor
    value: Tensor

    def rows(self, batch: int) -> "KeyValue":
        """A prompt (length, heads, head_dim), or one for each clip (batch, ...), as rows (batch, heads, length,
        head_dim).
        """
        return KeyValue(*(_rows(tensor, batch) for tensor in self))

    def then(self, other: "KeyValue") -> "KeyValue":
        """These rows in front of the other's."""
        return KeyValue(*(torch.cat([a.to(b.dtype), b], dim=2) for a, b in zip(self, other, strict=True)))


def _rows(tensor: Tensor, batch: int) -> Tensor:
    if tensor.dim() == 3:
        tensor = tensor[None].expand(batch, -1, -1, -1)
    return tensor.transpose(1, 2)


class Bottleneck(NamedTuple):
    """A bottleneck adapter (Houlsby et al. 2019) behind a layer, bias-free; of rank 0 it is no adapter."""

    down: Tensor  # (rank, dim)
    up: Tensor  # (dim, rank)

    def add_to(self, x: Tensor) -> Tensor:
        """x: (batch, length, dim). It reads the stream normalised, since a pre-norm stream grows with depth."""
        narrow = F.gelu(F.linear(F.layer_norm(x, x.shape[-1:]), self.down))
        return x + F.linear(narrow, self.up)


class LowRank(NamedTuple):
    """A low-rank update of one projection's weight (LoRA, Hu et al. 2021), which becomes W + up @ down."""

    down: Tensor  # (rank, dim)
    up: Tensor  # (dim, rank)

    def of(self, x: Tensor) -> Tensor:
        """What it adds to the projection of x (..., dim)."""
        return F.linear(F.linear(x, self.down), self.up)


PROJECTIONS = ("query", "key", "value", "output")  # of an attention
Updates = Mapping[str, LowRank]  # of one attention, by projection
NO_UPDATES: Updates = {}


class Vocabularies(NamedTuple):
    """A vocabulary's matrices: the decoder's tied embedding and the CTC head, both over the same tokens."""

    embedding: Tensor  # (vocab, dim)
    ctc_weight: Tensor | None  # (vocab, dim)
    ctc_bias: Tensor | None  # (vocab,)


@dataclass(frozen=True)
class Handles:
    """All that an adaptation changes, by layer index; the default is the bare backbone."""

    encoder_prompts: Mapping[int, KeyValue] = field(default_factory=dict)
    decoder_prompts: Mapping[int, KeyValue] = field(default_factory=dict)
    cross_prompts: Mapping[int, KeyValue] = field(default_factory=dict)
    encoder_adapters: Mapping[int, Bottleneck] = field(default_factory=dict)
    decoder_adapters: Mapping[int, Bottleneck] = field(default_factory=dict)
    encoder_updates: Mapping[int, Updates] = field(default_factory=dict)
    decoder_updates: Mapping[int, Updates] = field(default_factory=dict)
    cross_updates: Mapping[int, Updates] = field(default_factory=dict)
    vocabulary: Vocabularies | None = None

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "Handles":
        """The handles in flat tensors, whose names are those of `tensor_name` and of the vocabulary."""
        vocabulary = None
        if "vocabulary.embedding" in tensors:
            vocabulary = Vocabularies(
                tensors["vocabulary.embedding"],
                tensors.get("vocabulary.ctc.weight"),
                tensors.get("vocabulary.ctc.bias"),
            )
        return cls(
            encoder_prompts=_pairs(tensors, "encoder", "prompt", KeyValue, KeyValue._fields),
            decoder_prompts=_pairs(tensors, "decoder", "prompt", KeyValue, KeyValue._fields),
            cross_prompts=_pairs(tensors, "cross", "prompt", KeyValue, KeyValue._fields),
            encoder_adapters=_pairs(tensors, "encoder", "adapter", Bottleneck, Bottleneck._fields),
            decoder_adapters=_pairs(tensors, "decoder", "adapter", Bottleneck, Bottleneck._fields),
            encoder_updates=_updates(tensors, "encoder"),
            decoder_updates=_updates(tensors, "decoder"),
            cross_updates=_updates(tensors, "cross"),
            vocabulary=vocabulary,
        )

    def to(self, device: torch.device) -> "Handles":
        """The same on another device."""
        return Handles(**{each.name: _moved(getattr(self, each.name), device) for each in fields(self)})

    def lowest_encoder_layer(self) -> int | None:
        """The lowest encoder layer that these handles change, or None."""
        return min([*self.encoder_prompts, *self.encoder_adapters, *self.encoder_updates], default=None)


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Mapping):
        return {key: _moved(each, device) for key, each in value.items()}
    if isinstance(value, tuple):
        return type(value)(*(_moved(each, device) for each in value))
    return value.to(device) if isinstance(value, Tensor) else value


NO_HANDLES = Handles()


def tensor_name(stack: str, layer: int, kind: str, part: str) -> str:
    """The flat name of one tensor: tensor_name("encoder", 3, "prompt", "key") is "encoder.3.prompt.key"."""
    return f"{stack}.{layer}.{kind}.{part}"


def _pairs(
    tensors: Mapping[str, Tensor], stack: str, kind: str, make: Callable[[Tensor, Tensor], T], parts: Iterable[str]
) -> dict[int, T]:
    first, second = parts
    layers = sorted(
        int(name.split(".")[1])
        for name in tensors
        if name.startswith(f"{stack}.") and name.endswith(f".{kind}.{first}")
    )
    return {
        layer: make(tensors[tensor_name(stack, layer, kind, first)], tensors[tensor_name(stack, layer, kind, second)])
        for layer in layers
    }


def _updates(tensors: Mapping[str, Tensor], stack: str) -> dict[int, Updates]:
    """By layer, then by projection."""
    found: dict[int, dict[str, LowRank]] = {}
    for projection in PROJECTIONS:
        for layer, update in _pairs(tensors, stack, f"lora.{projection}", LowRank, LowRank._fields).items():
            found.setdefault(layer, {})[projection] = update
    return dict(found)
