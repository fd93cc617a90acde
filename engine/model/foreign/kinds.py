"""What kind of file a stranger's weights are, known by their first bytes and never from their name.

It reads a few bytes of each file, and of zip files the list of what is inside; it opens no weights.
"""

import zipfile
from enum import Enum
from pathlib import Path

FIRST_BYTES = 64


class Kind(Enum):
    """A file of weights."""

    CTRANSLATE2 = "CTranslate2"
    GGML = "whisper.cpp"
    GGUF = "GGUF"
    SAFETENSORS = "safetensors"
    TORCH = "PyTorch"
    NUMPY = "NumPy"


def kind_of(path: Path) -> Kind | None:
    """The kind of a file; None for any other. Raises OSError."""
    with path.open("rb") as file:
        start = file.read(FIRST_BYTES)
    if start[1:18] == b"\0\0\0\x0c\0WhisperSpec\0":
        return Kind.CTRANSLATE2
    if start[:4] in (b"lmgg", b"GGUF"):
        return Kind.GGML if start[:4] == b"lmgg" else Kind.GGUF
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return Kind.SAFETENSORS
    return _zipped(path) if start[:4] == b"PK\x03\x04" else None


def _zipped(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return Kind.TORCH  # whose reader says what is wrong with it
    return Kind.NUMPY if any(name.endswith(".npy") for name in names) else Kind.TORCH
