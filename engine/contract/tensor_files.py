"""Safetensors files: a stranger's header is bounded before it is read, and what the disk refuses is an OSError."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError


def check_header(data: bytes, most: int) -> None:
    """Raises ValueError where a file's first bytes state a header of more than `most` bytes, or than it has.

    Reading one takes 700 times its size.
    """
    stated = int.from_bytes(data[:8], "little")
    if stated > min(most, len(data)):
        raise ValueError(f"its header has {stated} bytes")


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Around the writing of `path`: raises OSError for what the library raises where the disk is full, or fails."""
    try:
        yield
    except SafetensorError as error:
        if code := re.search(r"os error (\d+)", str(error)):
            raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from error
        raise
