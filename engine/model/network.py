"""One encoder-decoder for every backbone: what differs between families is in `ModelConfig`.

The speech encoder reads frames and, where it has a head for it, writes CTC scores; the decoder reads the encoder
through cross-attention and writes tokens. Adaptations enter as explicit `Handles` passed to each call; without them
the bare backbone runs. It does not know languages, files, training or which adaptation made the handles.

Positions and post-norm details follow fairseq, or Whisper (Radford et al. 2022) where the config has it so.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..audio.reading import SAMPLE_RATE
from ..contract.model_config import ModelConfig
from .frontend import Corruption, Frames, MelFrontend, WaveformFrontend
from .handles import NO_UPDATES, Handles, KeyValue, Vocabularies
from .layers import DecoderLayer, EncoderLayer, Stack, visible_prompt

Cross = tuple[list[KeyValue], list[Tensor]]  # each layer's cross keys/values and mask, see `Decoder.cross`
FIRST_POSITION = 2  # fairseq numbers positions from padding_idx + 1


class Encoder(Stack):
    """Frontend, positions and layers."""

    def __init__(self, config: ModelConfig, dropout: float):
        super().__init__()
        self.config = config
        self.window_samples = round(config.mel_window_seconds * SAMPLE_RATE)
        self.frontend: nn.Module
        if config.frontend == "mel":
            self.frontend = MelFrontend(config.mels, config.dim, config.mel_strides, config.mel_normalisation)
        else:
            self.frontend = WaveformFrontend(
                config.waveform_convolutions, config.dim, config.waveform_layer_norm, config.waveform_normalise
            )
        convolutional = config.encoder_positions == "convolutional"
        self.positions = ConvolutionalPositions(config) if convolutional else None
        self.embedding_norm = nn.LayerNorm(config.dim) if convolutional and not config.encoder_norm_first else None
        self.layers = nn.ModuleList(EncoderLayer(config, dropout) for _ in range(config.encoder_layers))
        self.norm = nn.LayerNorm(config.dim) if config.encoder_norm_first else None

    def embed(
        self, waveform: Tensor, lengths: Tensor, first_position: int = 0, corrupt: Corruption | None = None
    ) -> Frames:
        """(batch, samples), (batch,) -> what the first layer reads.

        A clip shorter than the config's window is padded with silence, whose frames count as the clip's. Whisper was
        only ever trained on windows of 30 s. A shorter one costs less in proportion, and is another input than it was
        trained on: without an adaptation it may repeat itself, or fail to stop.
        Training may start elsewhere than at position 0, so that long clips do not meet untrained positions.
        """
        if (missing := self.window_samples - waveform.shape[1]) > 0:
            waveform = F.pad(waveform, (0, missing))
        lengths = lengths.clamp(min=self.window_samples)
        return self.placed(self.frontend(waveform, lengths, corrupt), first_position)

    def placed(self, frames: Frames, first_position: int = 0) -> Frames:
        """Frames from the frontend, with their positions."""
        values = frames.values
        if self.positions is not None:
            values = values + self.positions(frames)
        else:
            positions = torch.arange(values.shape[1], device=values.device) + first_position
            values = values + sinusoids(positions, self.config.dim)
        if self.embedding_norm is not None:
            values = self.embedding_norm(values)
        return frames._replace(values=values)

    def forward(self, frames: Frames, handles: Handles, first: int = 0, last: int | None = None) -> Frames:
        """Runs layers first..last-1; the final norm belongs to the last layer, so it runs only when `last` is None."""
        inside = None if frames.whole else frames.mask()
        x = frames.values
        stop = len(self.layers) if last is None else last
        for index in range(first, stop):
            prompt = handles.encoder_prompts.get(index)
            prompt = None if prompt is None else prompt.rows(x.shape[0])
            updates = handles.encoder_updates.get(index, NO_UPDATES)
            x = self.through(self.layers[index], x, inside, prompt, handles.encoder_adapters.get(index), updates)
        if last is None and self.norm is not None:
            x = self.norm(x)
        return frames._replace(values=x)


class ConvolutionalPositions(nn.Module):
    """wav2vec 2.0's relative positions: a wide grouped convolution over the frames."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        kernel = config.position_kernel
        self.convolution = nn.Conv1d(config.dim, config.dim, kernel, padding=kernel // 2, groups=config.position_groups)

    def forward(self, frames: Frames) -> Tensor:
        """(batch, frames, dim) -> what to add."""
        values = (frames.values * frames.mask()[..., None]).transpose(1, 2)
        positions = self.convolution(values)[..., : values.shape[-1]]  # an even kernel gives one frame too many
        return F.gelu(positions).transpose(1, 2)


class Decoder(Stack):
    """Token embedding (tied to the output) and layers."""

    def __init__(self, config: ModelConfig, dropout: float):
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.randn(config.vocab_size, config.dim) * config.dim**-0.5)
        self.positions = (
            nn.Parameter(torch.randn(config.decoder_positions, config.dim) * config.dim**-0.5)
            if config.decoder_positions
            else None
        )
        self.layers = nn.ModuleList(DecoderLayer(config, dropout) for _ in range(config.decoder_layers))
        self.norm = nn.LayerNorm(config.dim) if config.decoder_norm_first else None

    def embed(self, tokens: Tensor, positions: Tensor, table: Tensor) -> Tensor:
        """What the first layer reads: tokens (batch, new), positions (new,) or (batch, new) from 0, table (vocab, dim).

        -> (batch, new, dim).
        """
        x = F.embedding(tokens, table)
        if self.config.scale_embedding:
            x = math.sqrt(self.config.dim) * x
        if self.positions is None:
            return x + sinusoids(positions + FIRST_POSITION, self.config.dim)
        return x + F.embedding(positions, self.positions)

    def cross(self, encoded: Frames, handles: Handles) -> Cross:
        """Each layer's cross keys/values, prompts first, and its mask (batch, 1, 1, prompt + frames)."""
        memories, masks, mask = [], [], encoded.mask()[:, None, None, :]
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, DecoderLayer)
            updates = handles.cross_updates.get(index, NO_UPDATES)
            memory = layer.cross_attention.keys_values(encoded.values, updates)
            prompt = handles.cross_prompts.get(index)
            rows = None if prompt is None else prompt.rows(encoded.values.shape[0])
            memories.append(memory if rows is None else rows.concatenate(memory))
            masks.append(mask if rows is None else visible_prompt(mask, rows))
        return memories, masks

    def past(self, batch: int, handles: Handles, like: Tensor) -> list[KeyValue]:
        """The keys/values before the first token: each layer's prompt, or nothing."""
        empty = KeyValue(*(like.new_zeros(0, self.config.heads, self.config.head_dim),) * 2)
        return [handles.decoder_prompts.get(index, empty).rows(batch) for index in range(len(self.layers))]

    def states(
        self, tokens: Tensor, position: Tensor | int, past: Sequence[KeyValue], cross: Cross, handles: Handles
    ) -> tuple[Tensor, list[KeyValue], list[Tensor | None]]:
        """As `forward`, but what the output reads, (batch, new, dim), in place of logits.

        The third are each layer's weights of the cross-attention, (batch, heads, prompt + frames), for one new token.
        """
        positions = torch.arange(tokens.shape[1], device=tokens.device) + position
        x, grown, attended = self.embed(tokens, positions, self.table(handles)), list[KeyValue](), list[Tensor | None]()
        for index, layer in enumerate(self.layers):
            mask, adapter = causal_mask(tokens.shape[1], past[index]), handles.decoder_adapters.get(index)
            updates = (handles.decoder_updates.get(index, NO_UPDATES), handles.cross_updates.get(index, NO_UPDATES))
            inputs = (x, past[index], mask, cross[0][index], cross[1][index], adapter, *updates)
            x, memory, weights = self.through(layer, *inputs)
            grown.append(memory)
            attended.append(weights)
        return x if self.norm is None else self.norm(x), grown, attended

    def alignment(self, attended: Sequence[Tensor | None], frames: int) -> Tensor | None:
        """The alignment heads' weights over the frames, (batch, heads, frames), of what `states` gives for one token.

        None where the backbone has no such heads.
        """
        found = [(attended[layer], head) for layer, head in self.config.alignment_heads]
        rows = [weights[:, head, weights.shape[2] - frames :] for weights, head in found if weights is not None]
        return torch.stack(rows, dim=1) if rows else None

    def table(self, handles: Handles) -> Tensor:
        """The embedding (vocab, dim), which is the output's too."""
        return self.embedding if handles.vocabulary is None else handles.vocabulary.embedding

    def forward(
        self, tokens: Tensor, position: Tensor | int, past: Sequence[KeyValue], cross: Cross, handles: Handles
    ) -> tuple[Tensor, list[KeyValue]]:
        """tokens: (batch, new), the first at `position` (never counted from `past`, which holds prompts too).

        position: one for all, or (batch, 1).
        -> logits (batch, new, vocab) and each layer's grown keys/values.
        """
        x, grown, _ = self.states(tokens, position, past, cross, handles)
        return F.linear(x, self.table(handles)), grown


class EncoderDecoder(nn.Module):
    """A speech encoder-decoder with tied output and, where the config says so, a CTC head on the encoder."""

    def __init__(self, config: ModelConfig, dropout: float = 0.0):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config, dropout)
        self.decoder = Decoder(config, dropout)
        self.ctc = nn.Linear(config.dim, config.vocab_size) if config.ctc else None

    def checkpoint_gradients(self) -> None:
        """Trains in less memory from now on, see Stack."""
        self.encoder.gradient_checkpointing = self.decoder.gradient_checkpointing = True

    def vocabulary(self) -> Vocabularies:
        """The backbone's own vocabulary matrices."""
        ctc = self.ctc
        return Vocabularies(
            self.decoder.embedding, None if ctc is None else ctc.weight, None if ctc is None else ctc.bias
        )

    def ctc_logits(self, encoded: Frames, handles: Handles) -> Frames | None:
        """Frames of logits (batch, frames, vocab), `ctc_stride` of the encoder's to one; None without a CTC head."""
        vocabulary = handles.vocabulary or self.vocabulary()
        if vocabulary.ctc_weight is None:
            return None
        read = self.ctc_frames(encoded)
        return read._replace(values=F.linear(read.values, vocabulary.ctc_weight, vocabulary.ctc_bias))

    def ctc_frames(self, encoded: Frames) -> Frames:
        """What the CTC head reads of the encoder's output."""
        return encoded if self.config.ctc else averaged(encoded, self.config.ctc_stride)

    def teacher_forcing(self, encoded: Frames, tokens: Tensor, handles: Handles) -> Tensor:
        """Teacher forcing: logits (batch, length, vocab) of what follows each of tokens (batch, length)."""
        past = self.decoder.past(tokens.shape[0], handles, encoded.values)
        return self.decoder(tokens, 0, past, self.decoder.cross(encoded, handles), handles)[0]  # type: ignore[no-any-return]

    def forward(
        self, waveform: Tensor, lengths: Tensor, tokens: Tensor, handles: Handles
    ) -> tuple[Tensor, Tensor | None]:
        """waveform (batch, samples), lengths (batch,), tokens (batch, length) -> decoder logits and CTC logits."""
        encoded = self.encoder(self.encoder.embed(waveform, lengths), handles)
        ctc = self.ctc_logits(encoded, handles)
        return self.teacher_forcing(encoded, tokens, handles), None if ctc is None else ctc.values


def averaged(encoded: Frames, stride: int) -> Frames:
    """What a CTC head that no pretraining made reads: frames normalised without weights, `stride` of them as one.

    A head's own weights hold whatever scales it would want; unnormalised, or behind a pretrained network's last norm
    alone, it learns slowly or not at all. Frames at the end that fill no stride are left out.
    """
    values = F.layer_norm(encoded.values, encoded.values.shape[-1:])
    count = values.shape[1] // stride
    values = values[:, : count * stride].reshape(values.shape[0], count, stride, values.shape[2]).mean(2)
    return Frames(values, encoded.lengths // stride, encoded.whole)


def sinusoids(positions: Tensor, dim: int) -> Tensor:
    """(...) -> (..., dim): sines then cosines, in fairseq's (and Whisper's) spacing."""
    half = dim // 2
    frequencies = torch.exp(torch.arange(half, device=positions.device) * -(math.log(10_000) / (half - 1)))
    angles = positions[..., None].float() * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def causal_mask(new: int, past: KeyValue) -> Tensor | None:
    """(new, past + new) bool: everything past is visible, the new ones up to themselves; None for a single token."""
    if new == 1:
        return None
    triangle = torch.ones(new, new, dtype=torch.bool, device=past.key.device).tril()
    return F.pad(triangle, (past.key.shape[2], 0), value=True)
