"""Which reader a foreign file or folder is for, known by its first bytes; every failure becomes one sentence."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from ...contract.errors import BackboneError, UsageError
from .checkpoint import read_checkpoint
from .ctranslate2 import read_ctranslate2
from .ggml import read_ggml
from .huggingface import CONFIG, INDEX, read_huggingface
from .kinds import Kind, kind_of
from .limits import bounded_json, short
from .mlx import read_mlx
from .network import Foreign
from .openai import SIZES, STATE, read_openai
from .wav2seq import read_wav2seq
from .whisper import WINDOW_SECONDS, Whisper, whisper_backbone

READABLE = (
    "a Whisper of Hugging Face, OpenAI, CTranslate2 (faster-whisper), whisper.cpp or MLX, a Wav2Seq checkpoint, or a "
    "backbone folder"
)
# What the libraries below raise over a stranger's bytes, where no reader of ours foresaw it.
STUMBLES = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
MOST_FILES = 10_000  # of a folder that is looked through


def read_foreign(source: Path, window_seconds: float | None = None) -> Foreign:
    """The backbone in a foreign file or folder; window_seconds: see `whisper_backbone`.

    Raises UsageError or BackboneError, whatever the bytes are.
    """
    try:
        found = _read(source)
        if isinstance(found, Whisper):
            return whisper_backbone(found, WINDOW_SECONDS if window_seconds is None else window_seconds)
    except OSError as error:
        raise BackboneError(f"{error.filename or source} cannot be read ({error.strerror}): fetch it again.") from error
    except STUMBLES as error:
        raise BackboneError(f"{source.name} is no model as published ({short(error)}).") from error
    if window_seconds is not None:
        raise UsageError(f"{source.name} is no Whisper: leave --window-seconds out.")
    return found


def config_family(folder: Path) -> str | None:
    """Whose layout a folder's config has, Hugging Face's or MLX's; None for neither. Raises BackboneError, OSError."""
    if not (folder / CONFIG).is_file():
        return None
    config = bounded_json(folder / CONFIG)
    if "n_mels" in config:
        return "MLX"
    return "Hugging Face" if "model_type" in config else None


def weight_files(folder: Path) -> Iterator[tuple[Path, Kind]]:
    """The weights that lie in a folder, not deeper, each with its kind. Raises OSError."""
    for count, path in enumerate(sorted(folder.iterdir())):
        if count >= MOST_FILES:
            return
        kind = kind_of(path) if path.is_file() else None
        if kind is not None:
            yield path, kind


def _read(source: Path) -> Whisper | Foreign:
    if source.is_dir():
        return _read_folder(source)
    if not source.is_file():
        raise UsageError(f"{source} is not there: check the path.")
    kind = kind_of(source)
    if kind == Kind.TORCH:
        return _read_torch(source)
    if kind in (Kind.SAFETENSORS, Kind.NUMPY):
        return _read_folder(source.parent)  # which has the sizes
    if kind == Kind.CTRANSLATE2:
        return read_ctranslate2(source)
    if kind == Kind.GGML:
        return read_ggml(source)
    if kind == Kind.GGUF:
        raise BackboneError(f"{source.name} is a GGUF file, which Lect does not read: give a ggml .bin of whisper.cpp.")
    raise BackboneError(f"{source.name} holds no weights that Lect knows: give {READABLE}.")


def _read_folder(folder: Path) -> Whisper:
    files = list(weight_files(folder))
    if converted := [path for path, kind in files if kind == Kind.CTRANSLATE2]:
        return read_ctranslate2(converted[0])
    family = config_family(folder)
    if family == "MLX":
        return read_mlx(folder)
    if family == "Hugging Face":
        return read_huggingface(folder)
    single = [path for path, kind in files if kind in (Kind.GGML, Kind.TORCH)]
    if len(single) > 1:
        raise UsageError(f"{folder.name} holds several models ({single[0].name}, {single[1].name}): give one of them.")
    if single and isinstance(found := _read(single[0]), Whisper):
        return found
    lack = f"no {CONFIG}" if files or (folder / INDEX).is_file() else "no weights"
    raise BackboneError(f"{folder} has {lack} that Lect knows: give {READABLE}.")


def _read_torch(path: Path) -> Whisper | Foreign:
    checkpoint = read_checkpoint(path)
    if SIZES in checkpoint and STATE in checkpoint:
        return read_openai(checkpoint, path.name)
    if config_family(path.parent) == "Hugging Face" and any(str(name).startswith("model.") for name in checkpoint):
        return read_huggingface(path.parent)
    return read_wav2seq(path, checkpoint)
