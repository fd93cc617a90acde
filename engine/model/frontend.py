"""Frontends: from a waveform to the frames that the encoder's first layer sees.

Part of the model and of the exported graph, so that training and the edge share one definition of the features. Every
operation masks what lies beyond a clip's end: a clip gives the same frames alone and in a padded batch.
It does not know files, sample rates other than 16 kHz, or augmentation.
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..audio.reading import SAMPLE_RATE
from ..contract.model_config import MEL_HOP_SAMPLES
from .torchaudio_bridge import functional as audio_functional

WINDOW_SAMPLES = 400  # 25 ms
HOP_SAMPLES = MEL_HOP_SAMPLES
DYNAMIC_RANGE_NEPERS = 8 * math.log(10)  # quieter than 80 dB below a clip's loudest cell counts as silence
LEAST_DEVIATION = 0.5  # keeps a constant mel band from being blown up to noise

MelNormalisation = Literal["bands", "range"]


class Frames(NamedTuple):
    """A padded batch of sequences."""

    values: Tensor  # (batch, frames, dim)
    lengths: Tensor  # (batch,) int64
    whole: bool = False  # whether it is known that nothing is padding: an exported encoder then needs no mask

    def mask(self) -> Tensor:
        """(batch, frames) bool, true inside each sequence."""
        return length_mask(self.lengths, self.values.shape[1])


Corruption = Callable[[Frames], Frames]  # changes features in training, as SpecAugment does


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """(batch, size) bool, true below each length; lengths: (batch,)."""
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]


class LogMel(nn.Module):
    """Log-mel spectrogram: (batch, samples) -> (batch, samples // 160, mels).

    "bands" normalises each band over its clip, which takes the level and the microphone's colour out: they differ
    between any two recordists. "range" is Whisper's: decimal logarithms, plus 4, over 4.
    The Fourier transform is written as a convolution, which every ONNX runtime has.
    """

    basis: Tensor
    filters: Tensor

    def __init__(self, mels: int, normalisation: MelNormalisation = "bands"):
        super().__init__()
        self.normalisation = normalisation
        with torch.device("cpu"):  # constants, also of a network that is only sketched (on the meta device)
            basis = _fourier_basis()
            filters = audio_functional.melscale_fbanks(
                WINDOW_SAMPLES // 2 + 1, 0.0, SAMPLE_RATE / 2, mels, SAMPLE_RATE, norm="slaney", mel_scale="slaney"
            )
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, waveform: Tensor, lengths: Tensor) -> Frames:
        """waveform: (batch, samples) float32, zero beyond each clip; lengths: (batch,) samples."""
        padded = self._surrounded(waveform, lengths)[:, None, :]
        spectrum = F.conv1d(padded, self.basis, stride=HOP_SAMPLES)  # (batch, 2 x bins, frames)
        real, imaginary = spectrum.chunk(2, dim=1)
        power = (real.square() + imaginary.square()).transpose(1, 2)
        log_mel = torch.log(torch.clamp(power @ self.filters, min=1e-10))
        frames = Frames(log_mel, lengths // HOP_SAMPLES)
        normalise = _normalise_bands if self.normalisation == "bands" else _normalise_range
        return Frames(normalise(frames), frames.lengths)

    def _surrounded(self, waveform: Tensor, lengths: Tensor) -> Tensor:
        """(batch, samples) with half a window around, so that frame n is centred on sample 160 n."""
        before, after = WINDOW_SAMPLES // 2, WINDOW_SAMPLES // 2 - HOP_SAMPLES
        if self.normalisation == "bands":
            return F.pad(waveform, (before, after))
        # As Whisper does, the sound is mirrored at both ends, each clip's own.
        steps = torch.arange(after, device=waveform.device)
        ends = torch.gather(waveform, 1, (lengths[:, None] - 2 - steps).clamp(min=0))
        behind = F.pad(waveform, (0, after)).scatter(1, lengths[:, None] + steps, ends)
        return torch.cat([waveform[:, 1 : before + 1].flip(-1), behind], dim=-1)


def _fourier_basis() -> Tensor:
    """(2 x bins, 1, window): windowed cosines, then sines."""
    bins = torch.arange(WINDOW_SAMPLES // 2 + 1, dtype=torch.float64)[:, None]
    angles = 2 * math.pi * bins * torch.arange(WINDOW_SAMPLES, dtype=torch.float64)[None, :] / WINDOW_SAMPLES
    window = torch.hann_window(WINDOW_SAMPLES, dtype=torch.float64)
    return torch.cat([torch.cos(angles), -torch.sin(angles)]).mul(window)[:, None, :].float()


def _normalise_bands(frames: Frames) -> Tensor:
    inside = frames.mask()[..., None]
    count = frames.lengths.clamp(min=1)[:, None, None].float()
    values = _above_silence(frames)
    mean = (values * inside).sum(dim=1, keepdim=True) / count
    centred = (values - mean) * inside
    deviation = (centred.square().sum(dim=1, keepdim=True) / count).sqrt()
    return centred / deviation.clamp(min=LEAST_DEVIATION)


def _normalise_range(frames: Frames) -> Tensor:
    return (_above_silence(frames) / math.log(10) + 4) / 4 * frames.mask()[..., None]


def _above_silence(frames: Frames) -> Tensor:
    """Natural logarithms, none further below the clip's loudest than the dynamic range."""
    loudest = frames.values.masked_fill(~frames.mask()[..., None], -1e4).amax(dim=(1, 2), keepdim=True)
    return torch.maximum(frames.values, loudest - DYNAMIC_RANGE_NEPERS)


class MelFrontend(nn.Module):
    """Log-mel frames, then strided convolutions, as in Whisper: one frame every 10 ms x the strides."""

    def __init__(self, mels: int, dim: int, strides: tuple[int, ...], normalisation: MelNormalisation = "bands"):
        super().__init__()
        self.strides = strides
        self.log_mel = LogMel(mels, normalisation)
        sizes = [mels] + [dim] * len(strides)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(size, dim, kernel_size=3, stride=stride, padding=1)
            for size, stride in zip(sizes, strides, strict=False)
        )

    def forward(self, waveform: Tensor, lengths: Tensor, corrupt: Corruption | None = None) -> Frames:
        """(batch, samples), (batch,) -> frames of dim; `corrupt` changes the log-mel frames in training."""
        with torch.autocast(waveform.device.type, enabled=False):  # logarithms of tiny powers need float32
            frames: Frames = self.log_mel(waveform, lengths)
        return self.convolved(frames if corrupt is None else corrupt(frames))

    def convolved(self, frames: Frames) -> Frames:
        """From log-mel frames to frames of dim."""
        for convolution, stride in zip(self.convolutions, self.strides, strict=True):
            values = F.gelu(convolution(frames.values.transpose(1, 2))).transpose(1, 2)
            frames = Frames(values, (frames.lengths + stride - 1) // stride)
            frames = Frames(values * frames.mask()[..., None], frames.lengths)
        return frames


class WaveformFrontend(nn.Module):
    """The wav2vec 2.0 / HuBERT convolutions over the raw waveform, their normalisation and projection.

    `layer_norm=False` is the base form (one group normalisation, after the first convolution, no biases), `True` the
    large one. Differs from fairseq where a batch is padded: there the padding enters the group normalisation, here it
    does not, so that a clip's frames do not depend on its neighbours.
    """

    def __init__(self, convolutions: tuple[tuple[int, int, int], ...], dim: int, layer_norm: bool, normalise: bool):
        super().__init__()
        self.shapes = convolutions
        self.normalise = normalise
        sizes = [1, *(channels for channels, _, _ in convolutions)]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(size, channels, kernel, stride, bias=layer_norm)
            for size, (channels, kernel, stride) in zip(sizes, convolutions, strict=False)
        )
        self.norms = nn.ModuleList(
            nn.LayerNorm(channels) if layer_norm else ClipNorm(channels)
            for channels, _, _ in convolutions[: None if layer_norm else 1]
        )
        self.norm = nn.LayerNorm(sizes[-1])
        self.projection = nn.Linear(sizes[-1], dim)

    def forward(self, waveform: Tensor, lengths: Tensor, corrupt: Corruption | None = None) -> Frames:
        """(batch, samples), (batch,) -> frames of dim, 50 a second in the published shapes."""
        frames = Frames(waveform[..., None], lengths)
        if self.normalise:
            frames = Frames(_standardise(frames, 1e-5), lengths)
        for index, (convolution, (_, kernel, stride)) in enumerate(zip(self.convolutions, self.shapes, strict=True)):
            values = convolution(frames.values.transpose(1, 2)).transpose(1, 2)
            frames = Frames(values, (frames.lengths - kernel).clamp(min=-stride) // stride + 1)
            if index < len(self.norms):
                norm = self.norms[index]
                frames = Frames(norm(frames) if isinstance(norm, ClipNorm) else norm(values), frames.lengths)
            frames = Frames(F.gelu(frames.values), frames.lengths)
        frames = Frames(self.projection(self.norm(frames.values)), frames.lengths)
        return frames if corrupt is None else corrupt(frames)


class ClipNorm(nn.Module):
    """GroupNorm with one channel a group, over a clip's own frames only."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, frames: Frames) -> Tensor:
        """(batch, frames, channels), normalised over the frames of each clip."""
        return _standardise(frames, 1e-5) * self.weight + self.bias


def _standardise(frames: Frames, epsilon: float) -> Tensor:
    """Zero mean and unit variance over each clip's own frames, channel by channel; zero beyond its end."""
    inside = frames.mask()[..., None]
    count = frames.lengths.clamp(min=1)[:, None, None].float()
    mean = (frames.values * inside).sum(dim=1, keepdim=True) / count
    centred = (frames.values - mean) * inside
    variance = centred.square().sum(dim=1, keepdim=True) / count
    return centred * torch.rsqrt(variance + epsilon)
