"""Handles: what an adaptation hands to the model's calls, and the flat tensors they are stored as.

Their names are `contract.tensor_names`'; what is absent is the bare backbone. It does not know how the tensors were
made or trained.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..contract.tensor_names import (
    ADAPTER,
    CTC_BIAS,
    CTC_WEIGHT,
    EMBEDDING,
    LORA,
    PROMPT,
    Stack,
    pairs,
)


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

    def concatenate(self, other: "KeyValue") -> "KeyValue":
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

    down: Tensor  # (rank, in)
    up: Tensor  # (out, rank)

    def of(self, x: Tensor) -> Tensor:
        """What it adds to the projection of x (..., in)."""
        return F.linear(F.linear(x, self.down), self.up)


class FullRank(NamedTuple):
    """An update of one projection's weight as a whole, while it learns."""

    delta: Tensor  # (out, in)


Updates = Mapping[str, LowRank | FullRank]  # of one layer, or of one attention, by projection
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
        """The handles in flat tensors."""
        vocabulary = None
        if EMBEDDING in tensors:
            vocabulary = Vocabularies(tensors[EMBEDDING], tensors.get(CTC_WEIGHT), tensors.get(CTC_BIAS))
        return cls(
            encoder_prompts=_prompts(tensors, "encoder"),
            decoder_prompts=_prompts(tensors, "decoder"),
            cross_prompts=_prompts(tensors, "cross"),
            encoder_adapters=_adapters(tensors, "encoder"),
            decoder_adapters=_adapters(tensors, "decoder"),
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


def _prompts(tensors: Mapping[str, Tensor], stack: Stack) -> dict[int, KeyValue]:
    return {layer: KeyValue(*pair) for layer, pair in pairs(tensors, stack, PROMPT).items()}


def _adapters(tensors: Mapping[str, Tensor], stack: Stack) -> dict[int, Bottleneck]:
    return {layer: Bottleneck(*pair) for layer, pair in pairs(tensors, stack, ADAPTER).items()}


def _updates(tensors: Mapping[str, Tensor], stack: Stack) -> dict[int, Updates]:
    """By layer, then by projection."""
    found: dict[int, dict[str, LowRank]] = {}
    for projection, kind in LORA.items():
        for layer, pair in pairs(tensors, stack, kind).items():
            found.setdefault(layer, {})[projection] = LowRank(*pair)
    return dict(found)
