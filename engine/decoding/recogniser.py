"""Waveforms to text with torch: the encoder-decoder under the search that the ONNX runtime uses too.

It does not know files, packs or scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..audio.batches import batches_by_length, padded
from ..audio.reading import SAMPLE_RATE
from ..model.device import Device
from ..model.frontend import Frames
from ..model.handles import Handles, KeyValue
from ..model.network import Cross, EncoderDecoder
from ..text.vocabulary import Vocabulary
from .ctc import Ints, LogProbs
from .search import DecodeOptions, Hypothesis, attended, decode

BATCH_SECONDS = 60.0
WINDOWS_AT_ONCE = 8  # where each clip fills a window


class Recogniser:
    """A model with the handles of an adaptation and its vocabulary. Always float32.

    Scores must not depend on hardware.
    """

    def __init__(
        self,
        model: EncoderDecoder,
        vocabulary: Vocabulary,
        handles: Handles,
        options: DecodeOptions,
        device: Device,
    ):
        self.model = model.eval().to(device.torch_device)
        self.handles = handles.to(device.torch_device)
        self.vocabulary, self.options, self.device = vocabulary, options, device

    def with_options(self, options: DecodeOptions) -> "Recogniser":
        """The same model, decoded otherwise."""
        return Recogniser(self.model, self.vocabulary, self.handles, options, self.device)

    def texts(self, waveforms: Sequence[np.ndarray]) -> list[str]:
        """The text of each waveform (samples,), in their order."""
        return [self.vocabulary.decode(hypothesis.tokens) for hypothesis in self.transcribe(waveforms)]

    def texts_of(self, encoded: Frames) -> list[str]:
        """The text of each sequence of encoder frames."""
        return [self.vocabulary.decode(hypothesis.tokens) for hypothesis in self.search(encoded)]

    def transcribe(self, waveforms: Sequence[np.ndarray], batch_seconds: float = BATCH_SECONDS) -> list[Hypothesis]:
        """The best hypothesis of each waveform (samples,) float32 at 16 kHz; clips of like length share a batch."""
        found: dict[int, Hypothesis] = {}
        for batch in self.batches(waveforms, batch_seconds):
            hypotheses = self.search(self.encode([waveforms[index] for index in batch]))
            found |= dict(zip(batch, hypotheses, strict=True))
        return [found[index] for index in range(len(waveforms))]

    def batches(self, waveforms: Sequence[np.ndarray], seconds: float = BATCH_SECONDS) -> list[list[int]]:
        """Which are decoded at once: those of like length, up to so much padded audio, or so many windows of it."""
        window = self.model.encoder.window_samples
        lengths = [len(waveform) for waveform in waveforms]
        return batches_by_length(lengths, max(seconds * SAMPLE_RATE, WINDOWS_AT_ONCE * window), window)

    @torch.no_grad()
    def encode(self, waveforms: Sequence[np.ndarray]) -> Frames:
        """The encoder's output for a batch."""
        audio, lengths = (torch.from_numpy(array).to(self.device.torch_device) for array in padded(waveforms))
        encoded = self.model.encoder(self.model.encoder.embed(audio, lengths), self.handles)
        assert isinstance(encoded, Frames)
        return encoded

    @torch.no_grad()
    def search(self, encoded: Frames) -> list[Hypothesis]:
        """The best hypothesis of each sequence of encoder frames."""
        logits = self.model.ctc_logits(encoded, self.handles)
        ctc = None if logits is None else logits.values.float().log_softmax(-1).cpu().numpy()
        lengths = (logits if logits is not None and self.options.ctc_weight else encoded).lengths.cpu().numpy()
        positions = self.model.config.decoder_positions
        make_decoder = partial(TorchDecoder, self.model, encoded, self.handles)
        return decode(make_decoder, ctc, lengths, self.vocabulary, self.options, positions)


@dataclass(frozen=True)
class TorchState:
    """Where a torch decoder stands, one row per hypothesis."""

    position: int
    clips: Ints  # (rows,) which clip of the batch each row attends to
    past: list[KeyValue]  # (rows, heads, prompt + written, head_dim)
    cross: Cross


class TorchDecoder:
    """The `StepDecoder` of a torch model over a batch of encoder frames."""

    @torch.no_grad()
    def __init__(self, model: EncoderDecoder, encoded: Frames, handles: Handles):
        self.model, self.encoded, self.handles = model, encoded, handles
        memories, masks = model.decoder.cross(encoded, handles)
        # As they come they are views, which every step would copy.
        self.cross = [KeyValue(*(each.contiguous() for each in memory)) for memory in memories], masks

    @torch.no_grad()
    def start(self) -> TorchState:
        """Prompts as the past, the encoder as the cross keys and values."""
        batch = len(self.encoded.lengths)
        past = self.model.decoder.past(batch, self.handles, self.encoded.values)
        return TorchState(0, np.arange(batch), past, self.cross)

    @torch.no_grad()
    def step(self, tokens: Ints, state: TorchState) -> tuple[LogProbs, TorchState]:
        """(rows,) -> (rows, vocab) log-probabilities and the next state."""
        column = torch.from_numpy(tokens)[:, None].to(self.encoded.values.device)
        logits, past = self.model.decoder(column, state.position, state.past, state.cross, self.handles)
        log_probs: LogProbs = logits[:, 0].float().log_softmax(-1).cpu().numpy()
        return log_probs, replace(state, position=state.position + 1, past=past)

    def reorder(self, state: TorchState, rows: Ints) -> TorchState:
        """Picks and repeats rows. What they attend to is copied only when clips are done: it is the largest part."""
        clips, cross = state.clips[rows], state.cross
        if not np.array_equal(needed := attended(clips), attended(state.clips)):
            index = torch.from_numpy(needed).to(self.encoded.values.device)
            cross = (_picked(self.cross[0], index), [mask[index] for mask in self.cross[1]])
        past = _picked(state.past, torch.from_numpy(rows).to(self.encoded.values.device))
        return TorchState(state.position, clips, past, cross)


def _picked(pairs: list[KeyValue], index: Tensor) -> list[KeyValue]:
    return [KeyValue(pair.key[index], pair.value[index]) for pair in pairs]
