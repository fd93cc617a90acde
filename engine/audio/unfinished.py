"""WAV and AIFF files whose header was never finished, because the recorder lost power: all their sound is there.

Their bytes are shown to a decoder with the sizes that a recorder writes last. It decodes nothing.
"""

import io
import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, cast

NOTE = "Its header was never finished, as when a recorder loses power: it was read to the end of the file."
STATED_UNKNOWN = 0xFFFF_FFFF  # of RF64, whose sizes are in its ds64 chunk
DS64_SIZES = 20  # where a ds64 chunk, the first of an RF64 file, has the sizes of all and of the data, 8 bytes each
MOST_CHUNKS = 1_000
CHUNK_BYTES = 8  # name and size
SSND_BYTES = 8  # of a sound chunk in AIFF, before the sound: an offset and a block size
ALIGNED_BYTES = 1 << 16  # a finished file may have so much behind it, as disks and cards are filled up


def finished(file: BinaryIO) -> tuple[BinaryIO, str]:
    """The file as it would have been finished, and a note; or as it is, and "", where nothing was missed."""
    size = file.seek(0, os.SEEK_END)
    patches = _patches(file, size)
    file.seek(0)
    return (cast(BinaryIO, _Patched(file, patches)), NOTE) if patches else (file, "")


def _patches(file: BinaryIO, size: int) -> dict[int, bytes]:
    """Offset -> bytes."""
    file.seek(0)
    head = file.read(DS64_SIZES)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff_patches(file, size)
    if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        return {}
    place = next((at for name, at, _ in _chunks(file, size) if name == b"data"), None)
    if place is None:
        return {}
    start, stated = place + CHUNK_BYTES, _stated(file, place, head)
    if stated and not _goes_on(file, start + stated, size):
        return {}
    if size <= start:
        return {}
    if head.startswith(b"RF64"):
        return {DS64_SIZES: struct.pack("<QQ", size - CHUNK_BYTES, size - start)}
    known = min(size - start, STATED_UNKNOWN)
    return {4: struct.pack("<I", min(size - CHUNK_BYTES, STATED_UNKNOWN)), place + 4: struct.pack("<I", known)}


def _aiff_patches(file: BinaryIO, size: int) -> dict[int, bytes]:
    """Likewise of an AIFF, whose numbers are big-endian; COMM counts its frames too."""
    chunks = {name: (at, stated) for name, at, stated in _chunks(file, size, ">")}
    if b"COMM" not in chunks or b"SSND" not in chunks:
        return {}
    (about, _), (place, stated) = chunks[b"COMM"], chunks[b"SSND"]
    file.seek(about + CHUNK_BYTES)
    channels, frames, bits = struct.unpack(">HIH", file.read(8).ljust(8, b"\0"))
    held, frame_bytes = size - place - CHUNK_BYTES - SSND_BYTES, channels * -(-bits // 8)
    if (stated > SSND_BYTES and frames) or held <= 0 or not frame_bytes:
        return {}
    counts = {
        4: size - CHUNK_BYTES,
        about + CHUNK_BYTES + 2: held // frame_bytes,
        place + 4: size - place - CHUNK_BYTES,
    }
    return {at: struct.pack(">I", min(count, STATED_UNKNOWN)) for at, count in counts.items()}


def _chunks(file: BinaryIO, size: int, order: str = "<") -> Iterator[tuple[bytes, int, int]]:
    """(name, offset, size) of each chunk up to the data; order: of the bytes of a size, as `struct` names it."""
    at = 12
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(CHUNK_BYTES)
        if len(head) < CHUNK_BYTES:
            return
        stated = struct.unpack(f"{order}I", head[4:])[0]
        yield head[:4], at, stated
        at += CHUNK_BYTES + stated + stated % 2
        if at > size:
            return


def _stated(file: BinaryIO, place: int, head: bytes) -> int:
    """The data's size by the header."""
    if head.startswith(b"RF64") and head[12:16] == b"ds64":
        file.seek(DS64_SIZES + 8)
        return int(struct.unpack("<Q", file.read(8))[0])
    file.seek(place + 4)
    return int(struct.unpack("<I", file.read(4))[0])


def _goes_on(file: BinaryIO, end: int, size: int) -> bool:
    """Whether sound goes on where the data should end: no chunk, no tag and no filling begins there."""
    if size - end <= ALIGNED_BYTES:
        return False
    file.seek(end)
    behind = file.read(ALIGNED_BYTES)
    return any(behind) and not behind[:4].isascii() and not behind[1:5].isascii()


class _Patched(io.RawIOBase):
    """A file some of whose bytes are others."""

    def __init__(self, file: BinaryIO, patches: dict[int, bytes]) -> None:
        self._file, self._patches = file, patches

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1, /) -> bytes:
        start = self._file.tell()
        data = bytearray(self._file.read(size))
        for at, new in self._patches.items():
            for offset, byte in enumerate(new, at - start):
                if 0 <= offset < len(data):
                    data[offset] = byte
        return bytes(data)

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
