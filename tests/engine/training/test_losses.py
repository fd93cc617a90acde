"""The joint loss against its parts computed by hand."""

import itertools
import math

import torch

from lect.engine.model.frontend import Frames
from lect.engine.model.handles import NO_HANDLES
from lect.engine.model.network import EncoderDecoder
from lect.engine.text.vocabulary import EOS, PAD
from lect.engine.training.losses import Labels, attention_loss, ctc_loss, joint_loss
from tests.conftest import TINY


def encoded(batch: int = 2, frames: int = 6) -> Frames:
    values = torch.randn(batch, frames, TINY.dim, generator=torch.Generator().manual_seed(0))
    return Frames(values, torch.tensor([frames, frames - 2][:batch]))


def model() -> EncoderDecoder:
    torch.manual_seed(0)
    return EncoderDecoder(TINY).eval()


def test_ctc_loss_is_the_sum_over_all_alignments() -> None:
    logits = torch.randn(1, 4, 6, generator=torch.Generator().manual_seed(1))
    log_probs = logits.log_softmax(-1)[0]
    total = 0.0
    for path in itertools.product(range(6), repeat=4):
        collapsed = [token for token, _ in itertools.groupby(path) if token != PAD]
        if collapsed == [4, 5]:
            total += math.exp(sum(float(log_probs[frame, token]) for frame, token in enumerate(path)))
    loss = ctc_loss(Frames(logits, torch.tensor([4])), Labels.of([[4, 5]]))
    torch.testing.assert_close(float(loss), -math.log(total) / 2, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_attention_loss_covers_each_token_and_the_end_and_no_padding() -> None:
    network, frames = model(), encoded()
    labels = Labels.of([[5, 6, 7], [8]])
    total = 0.0
    for row, tokens in enumerate([[5, 6, 7], [8]]):
        one = Frames(frames.values[row : row + 1], frames.lengths[row : row + 1])
        logits = network.teacher_forcing(one, torch.tensor([[EOS, *tokens]]), NO_HANDLES)[0].log_softmax(-1)
        total -= sum(float(logits[place, token]) for place, token in enumerate([*tokens, EOS]))
    loss = attention_loss(network, frames, labels, NO_HANDLES, 0.0)
    torch.testing.assert_close(float(loss), total / 4, atol=1e-4, rtol=1e-5)


@torch.no_grad()
def test_the_joint_loss_weighs_its_parts() -> None:
    network, frames, labels = model(), encoded(), Labels.of([[5, 6], [8]])
    losses = joint_loss(network, frames, labels, NO_HANDLES, 0.3, 0.1)
    torch.testing.assert_close(losses.total, 0.3 * losses.ctc + 0.7 * losses.attention)
    only_ctc = joint_loss(network, frames, labels, NO_HANDLES, 1.0, 0.1)
    assert float(only_ctc.attention) == 0 and torch.equal(only_ctc.total, only_ctc.ctc)


@torch.no_grad()
def test_a_label_too_long_for_its_frames_adds_nothing_to_ctc() -> None:
    logits = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(1))
    both = ctc_loss(Frames(logits, torch.tensor([3, 3])), Labels.of([[5, 6, 7, 5], [4]]))
    fitting = ctc_loss(Frames(logits[1:], torch.tensor([3])), Labels.of([[4]]))
    torch.testing.assert_close(both * 5, fitting * 1)
