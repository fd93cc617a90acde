"""A decoder-only language model over units of speech: what SpeechPrompt v1 prompts, there GSLM's of 151 million
parameters (Lakhotia et al. 2021), here one that a single core trains in minutes.

It reads rows of an embedding rather than units, so that a prompt may bring symbols of its own. It does not know where
units come from, nor prompts beyond the keys and values that they are.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lect.engine.contract.model_config import ModelConfig
from lect.engine.contract.train_settings import TrainSettings
from lect.engine.model.device import Device
from lect.engine.model.handles import KeyValue
from lect.engine.model.layers import Attention, FeedForward, Layer
from lect.engine.model.network import causal_mask, sinusoids
from lect.engine.training.train import rate

DIM, HEADS, FFN_DIM, LAYERS = 256, 4, 1024, 4
DROPOUT = 0.1
CHUNK, BATCH = 640, 3  # units that are read at once, longer than a clip and its label; chunks a step
LEARNING_RATE = 1e-3


class UnitLayer(Layer):
    """Self-attention over what came before, and a feed-forward network."""

    def __init__(self, config: ModelConfig, dropout: float):
        super().__init__(config.decoder_norm_first, dropout)
        self.attention, self.attention_norm = Attention(config), nn.LayerNorm(config.dim)
        self.feed_forward = FeedForward(config, config.decoder_activation)
        self.feed_forward_norm = nn.LayerNorm(config.dim)

    def forward(self, x: Tensor, past: KeyValue) -> tuple[Tensor, KeyValue]:
        """x: (batch, new, dim); past: earlier keys/values, prompts first -> the same of x, and past with its own."""
        branch = self.before(self.attention_norm, x)
        memory = past.concatenate(self.attention.keys_values(branch))
        mask = causal_mask(x.shape[1], past)
        x = self.after(self.attention_norm, x, self.attention(branch, memory, mask))
        branch = self.feed_forward(self.before(self.feed_forward_norm, x))
        return self.after(self.feed_forward_norm, x, branch), memory


class UnitLanguageModel(nn.Module):
    """Units from 0, and the end, which also stands in front of a clip; input and output share their embedding."""

    def __init__(self, units: int, layers: int = LAYERS, dim: int = DIM, dropout: float = DROPOUT):
        super().__init__()
        self.config = ModelConfig(units + 1, dim, HEADS, FFN_DIM * dim // DIM, decoder_layers=layers)
        self.end = units
        # Any larger, and at first it expects each unit to follow itself, which is the one that never does.
        self.embedding = nn.Parameter(torch.randn(units + 1, dim) * 0.02)
        self.layers = nn.ModuleList(UnitLayer(self.config, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)

    def attentions(self) -> list[Attention]:
        """Of each layer."""
        return [layer.attention for layer in self.layers if isinstance(layer, UnitLayer)]

    def nothing(self, batch: int) -> list[KeyValue]:
        """The keys/values before the first unit without a prompt."""
        empty = KeyValue(*(self.embedding.new_zeros(0, self.config.heads, self.config.head_dim),) * 2)
        return [empty.rows(batch)] * len(self.layers)

    def forward(self, rows: Tensor, position: int, past: Sequence[KeyValue]) -> tuple[Tensor, list[KeyValue]]:
        """rows: (batch, new, dim) of an embedding, the first at `position`; padding may only follow.

        -> what an output embedding reads, (batch, new, dim), and each layer's grown keys/values.
        """
        positions = torch.arange(rows.shape[1], device=rows.device) + position
        x, grown = math.sqrt(self.config.dim) * rows + sinusoids(positions, self.config.dim), list[KeyValue]()
        for layer, before in zip(self.layers, past, strict=True):
            x, memory = layer(x, before)
            grown.append(memory)
        return self.norm(x), grown

    def loss(self, units: Tensor) -> Tensor:
        """units: (batch, length) -> the mean cross-entropy of all but the first, nats a unit."""
        states, _ = self(self.embedding[units[:, :-1]], 0, self.nothing(len(units)))
        return F.cross_entropy(F.linear(states, self.embedding).flatten(0, 1), units[:, 1:].flatten())


def pretrain(model: UnitLanguageModel, clips: Sequence[Sequence[int]], epochs: int, device: Device) -> Iterator[float]:
    """Trains next-unit prediction, and yields the mean loss of each epoch, nats a unit."""
    settings, per_epoch = TrainSettings(), max(1, len(_chunks(model, clips, 0)) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    for epoch in range(epochs):
        torch.manual_seed(epoch)
        chunks, losses = _chunks(model.train(), clips, epoch), []
        for number in range(per_epoch):
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * rate(settings, epoch * per_epoch + number, epochs * per_epoch)
            optimizer.zero_grad(set_to_none=True)
            with device.autocast():
                loss = model.loss(chunks[number * BATCH : (number + 1) * BATCH])
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
            optimizer.step()
            losses.append(float(loss.detach()))
        yield float(np.mean(losses))


@torch.no_grad()
def perplexity(model: UnitLanguageModel, clips: Sequence[Sequence[int]]) -> float:
    """Of a unit, given up to CHUNK before it."""
    chunks = _chunks(model.eval(), clips, 0)
    return math.exp(np.mean([float(model.loss(chunk[None])) for chunk in chunks]))


def _chunks(model: UnitLanguageModel, clips: Sequence[Sequence[int]], epoch: int) -> Tensor:
    """(chunks, CHUNK + 1): all clips end to end, an end in front of each; in another order and cut in each epoch."""
    rng = np.random.default_rng(epoch)
    stream = np.array([unit for clip in rng.permutation(len(clips)) for unit in (model.end, *clips[clip])])
    stream = np.roll(stream, -int(rng.integers(len(stream))))
    count = len(stream) // (CHUNK + 1)
    return torch.from_numpy(rng.permutation(stream[: count * (CHUNK + 1)].reshape(count, CHUNK + 1)))
