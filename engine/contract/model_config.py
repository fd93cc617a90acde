"""The sizes and habits of a backbone: all in which the families differ, and what a graph or a pack must fit."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from .errors import UsageError

MEL_HOP_SAMPLES = 160  # 10 ms
CTC_FRAME_SAMPLES = 640  # of a CTC head that an adaptation brings: 25 frames a second
WAV2VEC_CONVOLUTIONS = ((512, 10, 5), *((512, 3, 2),) * 4, *((512, 2, 2),) * 2)


@dataclass(frozen=True)
class ModelConfig:
    """The sizes and habits of one backbone."""

    vocab_size: int
    dim: int = 256
    heads: int = 4
    ffn_dim: int = 1024
    encoder_layers: int = 8
    decoder_layers: int = 3
    frontend: Literal["mel", "waveform"] = "mel"
    mels: int = 80  # mel frontend: bands
    mel_strides: tuple[int, ...] = (2, 2)  # mel frontend: a frame every 10 ms x their product
    mel_normalisation: Literal["bands", "range"] = "bands"  # see LogMel; "range" is Whisper's
    mel_window_seconds: float = 0.0  # mel frontend: shorter clips are padded with silence up to here
    waveform_convolutions: tuple[tuple[int, int, int], ...] = WAV2VEC_CONVOLUTIONS  # (channels, kernel, stride)
    waveform_layer_norm: bool = False  # wav2vec 2.0 "layer_norm" extractor (large) or "default" (base)
    waveform_normalise: bool = False  # each clip to zero mean and unit variance first (large)
    encoder_norm_first: bool = True
    decoder_norm_first: bool = True
    encoder_activation: Literal["gelu", "relu"] = "gelu"
    decoder_activation: Literal["gelu", "relu"] = "gelu"
    encoder_positions: Literal["sinusoidal", "convolutional"] = "sinusoidal"
    position_kernel: int = 128  # convolutional positions
    position_groups: int = 16
    decoder_positions: int = 0  # learned ones, the most tokens that it can read; 0: sinusoidal, and no limit
    scale_embedding: bool = True  # token embeddings times sqrt(dim)
    key_bias: bool = True
    convolution_kernel: int = 0  # Conformer convolution module in each encoder layer; 0: none
    ctc: bool = True  # whether the backbone has a CTC head of its own; else an adaptation brings one
    # (decoder layer, head) whose cross-attention follows time, for the times of words; as published with a Whisper
    alignment_heads: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        # From users and foreign files as well as from our own code, hence errors and not asserts.
        hints = get_type_hints(ModelConfig)
        if wrong := [name for name, hint in hints.items() if not _is_of(getattr(self, name), hint)]:
            raise UsageError(f"A model's {wrong[0]} cannot be {getattr(self, wrong[0])!r:.40}.")
        if self.heads < 1 or self.dim % self.heads:
            raise UsageError(f"A model of dim {self.dim} cannot have {self.heads} heads: heads must divide dim.")
        if not all(0 <= layer < self.decoder_layers and 0 <= head < self.heads for layer, head in self.alignment_heads):
            raise UsageError("A model's alignment heads must lie in its decoder's layers.")
        for name, hint in hints.items():
            value, known = getattr(self, name), get_args(hint)
            if get_origin(hint) is Literal and value not in known:
                raise UsageError(f"A model's {name} cannot be {value!r}: use {' or '.join(known)}.")

    @property
    def head_dim(self) -> int:
        """Size of one attention head."""
        return self.dim // self.heads

    @property
    def frame_samples(self) -> int:
        """How far apart the encoder's frames are, at 16 kHz."""
        if self.frontend == "mel":
            return MEL_HOP_SAMPLES * math.prod(self.mel_strides)
        return math.prod(stride for _, _, stride in self.waveform_convolutions)

    @property
    def ctc_stride(self) -> int:
        """How many encoder frames make one of the CTC head's; see `EncoderDecoder.ctc_logits`."""
        return 1 if self.ctc else max(1, round(CTC_FRAME_SAMPLES / self.frame_samples))

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "ModelConfig":
        """The config in a JSON object, where tuples are lists."""
        return cls(**{key: _tuples(item) for key, item in value.items()})

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def _is_of(value: Any, hint: Any) -> bool:
    """Whether a value is of a field's type; a bool is no number here, as it is to Python."""
    if get_origin(hint) is Literal:
        return isinstance(value, str)
    if get_origin(hint) is not tuple:
        return type(value) is hint or (hint is float and type(value) is int)
    parts = get_args(hint)
    if not isinstance(value, tuple) or (... not in parts and len(value) != len(parts)):
        return False
    return all(_is_of(item, parts[0]) for item in value)  # tuples here hold one type


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
