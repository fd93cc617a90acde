"""The layers that encoders and decoders are made of: attention, feed-forward network, convolution, and their order.

They follow the Transformer (Vaswani et al. 2017) in pre- or post-norm form; the optional convolution module is the
Conformer's (Gulati et al. 2020) with layer in place of batch normalisation. They do not know positions, frontends or
which adaptation made the handles.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..contract.model_config import ModelConfig
from .handles import NO_UPDATES, Bottleneck, FullRank, KeyValue, LowRank, Updates


def projected(linear: nn.Linear, x: Tensor, update: LowRank | FullRank | None) -> Tensor:
    """x (..., in) through a projection, with its update where there is one."""
    if isinstance(update, FullRank):
        return F.linear(x, linear.weight + update.delta, linear.bias)
    plain: Tensor = linear(x)
    return plain if update is None else plain + update.of(x)


class Attention(nn.Module):
    """Multi-head attention whose keys and values are computed apart from its queries, so that they can be kept."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.dim, config.dim)
        self.key = nn.Linear(config.dim, config.dim, bias=config.key_bias)
        self.value = nn.Linear(config.dim, config.dim)
        self.output = nn.Linear(config.dim, config.dim)

    def split(self, x: Tensor) -> Tensor:
        """(batch, length, dim) -> (batch, heads, length, head_dim)."""
        batch, length, _ = x.shape
        return x.reshape(batch, length, self.heads, -1).transpose(1, 2)

    def keys_values(self, x: Tensor, updates: Updates = NO_UPDATES) -> KeyValue:
        """(batch, length, dim) -> keys and values, each (batch, heads, length, head_dim)."""
        key, value = updates.get("key"), updates.get("value")
        return KeyValue(self.split(projected(self.key, x, key)), self.split(projected(self.value, x, value)))

    def forward(self, x: Tensor, memory: KeyValue, mask: Tensor | None, updates: Updates = NO_UPDATES) -> Tensor:
        """x: (batch, length, dim); memory: (batch, heads, size, head_dim); mask: broadcast to (.., length, size)."""
        query = self.split(projected(self.query, x, updates.get("query")))
        attended = F.scaled_dot_product_attention(query, *memory, attn_mask=mask)
        return projected(self.output, attended.transpose(1, 2).flatten(2), updates.get("output"))

    def shared(self, x: Tensor, memory: KeyValue, mask: Tensor, updates: Updates = NO_UPDATES) -> tuple[Tensor, Tensor]:
        """The same for x (rows, 1, dim) over memory (clips, heads, size, head_dim), which is not repeated.

        Each clip's rows lie side by side, and it has as many as any other: the hypotheses of a beam search.
        -> (rows, 1, dim) and the weights, (rows, heads, size).
        """
        head_dim = memory.key.shape[3]
        query = projected(self.query, x, updates.get("query"))
        query = query.reshape(memory.key.shape[0], -1, self.heads, head_dim).transpose(1, 2)
        # A vector: ONNX Runtime draws a single number into the product, which is then four times as slow for one query.
        scores = (query * query.new_full((head_dim,), head_dim**-0.5)) @ memory.key.transpose(2, 3)
        weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1)
        attended = (weights @ memory.value).transpose(1, 2).reshape(x.shape)
        return projected(self.output, attended, updates.get("output")), weights.transpose(1, 2).flatten(0, 1)


class FeedForward(nn.Module):
    """Position-wise feed-forward network."""

    def __init__(self, config: ModelConfig, activation: str):
        super().__init__()
        self.up = nn.Linear(config.dim, config.ffn_dim)
        self.down = nn.Linear(config.ffn_dim, config.dim)
        self.activation = F.gelu if activation == "gelu" else F.relu

    def forward(self, x: Tensor, updates: Updates = NO_UPDATES) -> Tensor:
        """(..., dim) -> (..., dim)."""
        wide = self.activation(projected(self.up, x, updates.get("up")))
        return projected(self.down, wide, updates.get("down"))


class Convolution(nn.Module):
    """The Conformer's convolution module: gated pointwise, depthwise in time, normalised, pointwise."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.gated = nn.Linear(config.dim, 2 * config.dim)
        self.depthwise = nn.Conv1d(config.dim, config.dim, config.convolution_kernel, padding="same", groups=config.dim)
        self.norm = nn.LayerNorm(config.dim)
        self.pointwise = nn.Linear(config.dim, config.dim)

    def forward(self, x: Tensor, inside: Tensor | None) -> Tensor:
        """x: (batch, frames, dim); inside: (batch, frames), false on padding, which must not leak; None without."""
        x = F.glu(self.gated(x), dim=-1)
        x = x if inside is None else x * inside[..., None]
        x = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        return self.pointwise(F.silu(self.norm(x)))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """What encoder and decoder layers share.

    Residual branches in pre- or post-norm form, and the bottleneck adapter.
    """

    def __init__(self, norm_first: bool, dropout: float):
        super().__init__()
        self.norm_first = norm_first
        self.dropout = nn.Dropout(dropout)

    def before(self, norm: nn.Module, x: Tensor) -> Tensor:
        """What a branch reads."""
        return norm(x) if self.norm_first else x

    def after(self, norm: nn.Module, x: Tensor, branch: Tensor) -> Tensor:
        """The stream with a branch's output added."""
        x = x + self.dropout(branch)
        return x if self.norm_first else norm(x)


class EncoderLayer(Layer):
    """Self-attention, an optional convolution, and a feed-forward network."""

    def __init__(self, config: ModelConfig, dropout: float):
        super().__init__(config.encoder_norm_first, dropout)
        self.attention = Attention(config)
        self.attention_norm = nn.LayerNorm(config.dim)
        self.convolution = Convolution(config) if config.convolution_kernel else None
        self.convolution_norm = nn.LayerNorm(config.dim) if config.convolution_kernel else None
        self.feed_forward = FeedForward(config, config.encoder_activation)
        self.feed_forward_norm = nn.LayerNorm(config.dim)

    def forward(
        self,
        x: Tensor,
        inside: Tensor | None,
        prompt: KeyValue | None,
        adapter: Bottleneck | None,
        updates: Updates = NO_UPDATES,
    ) -> Tensor:
        """x: (batch, frames, dim); inside: (batch, frames), None: all; prompt: (batch, heads, length, head_dim)."""
        branch = self.before(self.attention_norm, x)
        memory = self.attention.keys_values(branch, updates)
        mask = None if inside is None else inside[:, None, None, :]
        if prompt is not None:
            memory = prompt.concatenate(memory)
            mask = None if mask is None else visible_prompt(mask, prompt)
        x = self.after(self.attention_norm, x, self.attention(branch, memory, mask, updates))
        if self.convolution is not None and self.convolution_norm is not None:
            branch = self.convolution(self.before(self.convolution_norm, x), inside)
            x = self.after(self.convolution_norm, x, branch)
        branch = self.feed_forward(self.before(self.feed_forward_norm, x), updates)
        x = self.after(self.feed_forward_norm, x, branch)
        return x if adapter is None else adapter.add_to(x)


class DecoderLayer(Layer):
    """Self-attention over what was written, cross-attention over the encoder, and a feed-forward network."""

    def __init__(self, config: ModelConfig, dropout: float):
        super().__init__(config.decoder_norm_first, dropout)
        self.attention = Attention(config)
        self.attention_norm = nn.LayerNorm(config.dim)
        self.cross_attention = Attention(config)
        self.cross_attention_norm = nn.LayerNorm(config.dim)
        self.feed_forward = FeedForward(config, config.decoder_activation)
        self.feed_forward_norm = nn.LayerNorm(config.dim)

    def forward(
        self,
        x: Tensor,
        past: KeyValue,
        mask: Tensor | None,
        cross: KeyValue,
        cross_mask: Tensor,
        adapter: Bottleneck | None,
        updates: Updates = NO_UPDATES,
        cross_updates: Updates = NO_UPDATES,
    ) -> tuple[Tensor, KeyValue, Tensor | None]:
        """x: (batch, new, dim); past: earlier keys/values, prompts first.

        cross: of the batch, or for one new token of fewer clips, see `Attention.shared`.
        -> (batch, new, dim), past with the new ones, and for one new token the weights of the cross-attention.
        """
        branch = self.before(self.attention_norm, x)
        memory = past.concatenate(self.attention.keys_values(branch, updates))
        x = self.after(self.attention_norm, x, self.attention(branch, memory, mask, updates))
        inputs, weights = (self.before(self.cross_attention_norm, x), cross, cross_mask, cross_updates), None
        if x.shape[1] == 1:
            branch, weights = self.cross_attention.shared(*inputs)
        else:
            branch = self.cross_attention(*inputs)
        x = self.after(self.cross_attention_norm, x, branch)
        branch = self.feed_forward(self.before(self.feed_forward_norm, x), updates)
        x = self.after(self.feed_forward_norm, x, branch)
        return (x if adapter is None else adapter.add_to(x)), memory, weights


class Stack(nn.Module):
    """Layers one after the other.

    With `gradient_checkpointing` what a layer computes inside is not kept for the backward pass but computed again
    (Chen et al. 2016): about a third more time for a fraction of the memory, and the same gradients.
    """

    gradient_checkpointing = False

    def through(self, layer: nn.Module, *inputs: Any) -> Any:
        """A layer's output."""
        if self.gradient_checkpointing and torch.is_grad_enabled():
            return checkpoint(layer, *inputs, use_reentrant=False)
        return layer(*inputs)


def visible_prompt(mask: Tensor, prompt: KeyValue) -> Tensor:
    """The mask (.., size) with the prompt's columns in front, always visible."""
    return F.pad(mask, (prompt.key.shape[2], 0), value=True)
