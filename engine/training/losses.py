"""The joint CTC + attention loss (Watanabe et al. 2017), over labels only."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..model.frontend import Frames
from ..model.handles import Handles
from ..model.network import EncoderDecoder
from ..text.vocabulary import EOS, PAD


class Labels(NamedTuple):
    """A padded batch of token sequences, without start and end tokens."""

    tokens: Tensor  # (batch, length) int64, PAD beyond each label
    lengths: Tensor  # (batch,)

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> "Labels":
        """Pads sequences of tokens."""
        tokens = torch.full((len(sequences), max(map(len, sequences))), PAD)
        for row, sequence in zip(tokens, sequences, strict=True):
            row[: len(sequence)] = torch.tensor(sequence)
        return cls(tokens, torch.tensor([len(sequence) for sequence in sequences]))

    def to(self, device: torch.device) -> "Labels":
        """The same on another device."""
        return Labels(self.tokens.to(device), self.lengths.to(device))


class Losses(NamedTuple):
    """Nats a token; `total` is what is minimised."""

    total: Tensor
    ctc: Tensor
    attention: Tensor


def joint_loss(
    model: EncoderDecoder,
    encoded: Frames,
    labels: Labels,
    handles: Handles,
    ctc_weight: float,
    smoothing: float,
    start: Sequence[int] = (EOS,),
) -> Losses:
    """encoded: the encoder's output; start: what the decoder reads before the label.

    A label too long for its frames adds nothing to the CTC loss; a network without a CTC head has none, at any weight.
    """
    ctc_logits = model.ctc_logits(encoded, handles)
    if ctc_logits is None:
        attention = attention_loss(model, encoded, labels, handles, smoothing, start)
        return Losses(attention, torch.zeros_like(attention), attention)
    ctc = ctc_loss(ctc_logits, labels)
    attention = torch.zeros_like(ctc)
    if ctc_weight < 1:
        attention = attention_loss(model, encoded, labels, handles, smoothing, start)
    return Losses(ctc_weight * ctc + (1 - ctc_weight) * attention, ctc, attention)


def ctc_loss(logits: Frames, labels: Labels) -> Tensor:
    """logits: of (batch, frames, vocab)."""
    log_probs = logits.values.float().log_softmax(-1).transpose(0, 1)
    total = F.ctc_loss(
        log_probs, labels.tokens, logits.lengths, labels.lengths, blank=PAD, reduction="sum", zero_infinity=True
    )
    return total / labels.lengths.sum()


def attention_loss(
    model: EncoderDecoder,
    encoded: Frames,
    labels: Labels,
    handles: Handles,
    smoothing: float,
    start: Sequence[int] = (EOS,),
) -> Tensor:
    """Cross-entropy of each label token and of the end token, given the start and those before it."""
    first = labels.tokens.new_tensor(start).expand(len(labels.tokens), -1)
    inputs = torch.cat([first, labels.tokens], dim=1)
    targets = F.pad(labels.tokens, (0, 1), value=PAD)
    targets = targets.scatter(1, labels.lengths[:, None], EOS)
    logits = model.teacher_forcing(encoded, inputs, handles)[:, len(start) - 1 :].float()
    total = F.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=PAD, label_smoothing=smoothing, reduction="sum"
    )
    return total / labels.lengths.sum()  # by what CTC divides by, so that the parts of a split batch add up
