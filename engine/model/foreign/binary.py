"""Reading a binary file piece by piece, each refused in a sentence where the file ends before it."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from ...contract.errors import BackboneError


class Binary:
    """A little-endian file, read from its beginning. Every read raises BackboneError beyond the end."""

    def __init__(self, file: BinaryIO, size: int, name: str):
        self._file, self.left, self.name = file, size, name

    def take(self, count: int) -> bytearray:
        """The next bytes; never more memory than the file has left."""
        if not 0 <= count <= self.left:
            raise BackboneError(f"{self.name} is cut short or damaged: fetch it again.")
        self.left -= count
        data = bytearray(count)
        if self._file.readinto(data) != count:  # type: ignore[attr-defined]
            raise BackboneError(f"{self.name} changed while it was read: fetch it again.")
        return data

    def numbers(self, layout: str) -> tuple[int, ...]:
        """Whole numbers by `struct`'s letters."""
        return struct.unpack(f"<{layout}", self.take(struct.calcsize(f"<{layout}")))

    def number(self, letter: str) -> int:
        """One of them."""
        return self.numbers(letter)[0]

    def text(self, count: int) -> str:
        """A name of that many bytes."""
        try:
            return self.take(count).decode()
        except UnicodeDecodeError as error:
            raise BackboneError(f"{self.name} holds a name that is no text: it is damaged.") from error

    def tensor(self, dtype: torch.dtype, shape: tuple[int, ...], count: int) -> Tensor:
        """A tensor of `count` bytes. Raises BackboneError where its shape says otherwise."""
        elements = 1
        for size in shape:
            elements *= size
        if elements * dtype.itemsize != count or not count:
            raise BackboneError(f"{self.name} holds a tensor of shape {list(shape)} in {count} bytes: it is damaged.")
        return torch.frombuffer(self.take(count), dtype=dtype).reshape(shape)


@contextmanager
def opened(path: Path) -> Iterator[Binary]:
    """The file, ready to be read. Raises OSError."""
    with path.open("rb") as file:
        yield Binary(file, path.stat().st_size, path.name)
