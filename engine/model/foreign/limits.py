"""What a foreign file may say of itself: the bounds that every reader shares.

A file from elsewhere states sizes. Each is compared with the tensors that are there, or with a bound, before anything
of that size is built. It does not know any family or format.
"""

import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...contract.errors import BackboneError
from ...contract.model_config import ModelConfig

MOST_JSON_BYTES = 32 << 20  # the largest published tokenizer.json has 4 MB
MOST_HEADER_BYTES = 4 << 20  # of a safetensors file; Whisper-large's has 0.2 MB
MOST_TENSORS = 20_000  # Whisper-large has 1,259
MOST_UNPACKED = 4  # times a zip file's own size: weights hardly compress
MOST_TOKEN_LETTERS = 1024  # the longest token of Whisper has 128
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

# (least, most) of each size of a network; the published ones lie far inside.
SIZES = {
    "vocab_size": (5, 1_000_000),
    "dim": (4, 16_384),
    "heads": (1, 1024),
    "ffn_dim": (1, 131_072),
    "encoder_layers": (1, 512),
    "decoder_layers": (1, 512),
    "mels": (1, 1024),
    "position_kernel": (1, 4096),
    "position_groups": (1, 16_384),
    "decoder_positions": (0, 100_000),
    "convolution_kernel": (0, 4096),
}
MOST_WINDOW_SECONDS = 600


def bounded_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises BackboneError when it is too large, too deep or something else; OSError."""
    if path.stat().st_size > MOST_JSON_BYTES:
        raise BackboneError(f"{path.name} has more than {MOST_JSON_BYTES >> 20} MB: no model's has.")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BackboneError(f"{path.name} is damaged ({short(error)}): fetch it again.") from error
    if not isinstance(value, dict):
        raise BackboneError(f"{path.name} holds no JSON object, as a model's does: check which file it is.")
    return value


def check_unpacked(path: Path) -> None:
    """Raises BackboneError for a zip file that would unpack to many times its size, or is damaged."""
    try:
        with zipfile.ZipFile(path) as file:
            unpacked = sum(each.file_size for each in file.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise BackboneError(f"{path.name} is cut short or damaged ({short(error)}): fetch it again.") from error
    if unpacked > MOST_UNPACKED * path.stat().st_size:
        raise BackboneError(f"{path.name} unpacks to {unpacked} bytes, which no weights do: it was refused.")


def check_tensors(tensors: Mapping[Any, Any], source: str) -> None:
    """Raises BackboneError unless all are plain tensors that fill their memory: not sparse, quantised or repeated."""
    if len(tensors) > MOST_TENSORS:
        raise BackboneError(f"{source} holds {len(tensors)} tensors, more than any speech model: it was refused.")
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise BackboneError(f"{source} holds {name!r:.60} among its weights, which is no named tensor.")
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            raise BackboneError(f"{source} holds {name:.60} in a form that no published model has: it was refused.")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise BackboneError(f"{source} repeats one piece of memory as {name:.60}: it was refused.")


def finite(tensors: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """The same in float32. Raises BackboneError for weights that are no finite floating point numbers."""
    found = {}
    for name, tensor in tensors.items():
        if tensor.dtype not in FLOATS or not tensor.numel():
            raise BackboneError(f"{source} holds {name:.60} as {tensor.numel()} of {tensor.dtype}: weights are not.")
        found[name] = tensor.float()
        if not all(map(math.isfinite, (bound.item() for bound in torch.aminmax(found[name])))):
            raise BackboneError(f"{source} holds {name:.60} with numbers that are not finite: its training failed.")
    return found


def check_config(config: ModelConfig, tensors: Mapping[str, Tensor], source: str) -> None:
    """Raises BackboneError for sizes that no network with these tensors has."""
    for name, (least, most) in SIZES.items():
        check_size(source, name, getattr(config, name), least, most)
    if config.encoder_layers + config.decoder_layers > len(tensors):
        raise BackboneError(f"{source} says more layers than it holds tensors: it is incomplete, or of another kind.")
    window = config.mel_window_seconds
    if not 0 <= window <= MOST_WINDOW_SECONDS:
        raise BackboneError(f"{source} says a window of {window!r:.20} seconds: it must lie between 0 and 600.")
    for numbers in (config.mel_strides, *config.waveform_convolutions):
        for number in numbers:
            check_size(source, "stride or kernel", number, 1, SIZES["dim"][1])


def check_size(source: str, name: str, value: Any, least: int, most: int) -> int:
    """The value. Raises BackboneError when it is no whole number between the two."""
    if type(value) is not int or not least <= value <= most:
        raise BackboneError(f"{source} says {value!r:.20} for {name}: it must be a number from {least} to {most}.")
    return value


def agree(source: str, name: str, stated: Any, found: int) -> None:
    """Raises BackboneError where a file's word differs from its tensors."""
    if type(stated) is not int or stated != found:
        raise BackboneError(f"{source} says {stated!r:.20} for {name}, but its weights have {found}.")


def short(error: Exception) -> str:
    """What went wrong, in one line that holds nothing a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in f"{type(error).__name__}: {error}"[:160])
