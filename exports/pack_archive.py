"""The zip around a pack: written byte for byte the same from the same files, read with every size bounded beforehand.

It knows no file by its meaning. Checksums find damage, not forgery.
"""

import hashlib
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

from lect.engine.contract.errors import PackError

MAX_DIRECTORY_BYTES = 4_096  # the list of files at the zip's end; nine short names need 600
DAMAGED = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
_END_BYTES = 22  # the zip's last record, when it carries no comment
_LOCATOR_BYTES = 20  # the record before it that announces a 64-bit directory
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the format's own zero: the time of writing must not change the bytes


def zipped(files: Mapping[str, bytes]) -> bytes:
    """The files as a zip, in their order."""
    buffer = io.BytesIO()
    # Stored, not deflated: tensors do not shrink, and no two versions of zlib need agree on the bytes.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


class Archive:
    """A zip from a stranger, whose files are read one by one into memory and never onto the disk."""

    def __init__(self, archive: zipfile.ZipFile, name: str):
        self._archive, self._name = archive, name
        entries = archive.infolist()
        for entry in entries:
            if re.search(r"[/\\:]|^\.", entry.filename):
                raise PackError(f"{name} holds a path that leads out of it ({entry.filename!r}): do not use it.")
        self._entries = {entry.filename: entry for entry in entries}
        if len(self._entries) < len(entries):
            raise PackError(f"{name} holds two files of one name: do not use it.")

    @property
    def names(self) -> set[str]:
        """The files in it."""
        return set(self._entries)

    def read(self, file: str, limit: int) -> bytes:
        """One file of at most `limit` bytes. Raises PackError."""
        entry, name = self._entries[file], self._name
        if entry.file_size > limit:
            raise PackError(f"{name} unpacks to more than a lect pack may hold ({file}): do not use it.")
        if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise PackError(f"{name} is encrypted or packed in an unusual way ({file}): do not use it.")
        with self._archive.open(entry) as stream:
            data = stream.read(limit + 1)  # the size that the zip states may be a lie
        if len(data) != entry.file_size:
            raise PackError(f"{name} unpacks to another size than it says ({file}): do not use it.")
        return data


@contextmanager
def opened(file: BinaryIO, size: int, limit: int, name: str) -> Iterator[Archive]:
    """The zip in `file`, which has `size` bytes of at most `limit`. What is wrong with it is a PackError."""
    _check_end(file, size, limit, name)
    try:
        with zipfile.ZipFile(file) as archive:
            yield Archive(archive, name)
    except DAMAGED as error:
        raise PackError(f"{name} is damaged ({error!s:.100}): copy or download the pack again.") from error


def sums(files: Mapping[str, bytes]) -> bytes:
    """The SHA256SUMS of these files, in the form that `sha256sum -c` reads."""
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items()).encode()


def check_sums(files: Mapping[str, bytes], stated: bytes, name: str) -> None:
    """Raises PackError, naming the files, unless `stated` is `sums` of them."""
    actual = sums(files)
    if stated == actual:
        return
    lines = stated.decode(errors="replace").splitlines()
    changed = [file for file, line in zip(files, actual.decode().splitlines(), strict=True) if line not in lines]
    raise PackError(f"{name} was changed after it was made ({', '.join(changed) or 'its checksums'}): get it again.")


def _check_end(file: BinaryIO, size: int, limit: int, name: str) -> None:
    """Bounds the directory before `zipfile` reads all of it; comments and the 64-bit form have no place in a pack."""
    file.seek(max(0, size - _END_BYTES - _LOCATOR_BYTES))
    tail = file.read()
    end = tail[-_END_BYTES:]
    if len(end) < _END_BYTES or not end.startswith(b"PK\x05\x06"):
        raise PackError(f"{name} is no lect pack, or is cut short: check the file, or copy it again.")
    if size > limit:
        raise PackError(f"{name} is larger than a lect pack may be: do not use it.")
    if int.from_bytes(end[12:16], "little") > MAX_DIRECTORY_BYTES or tail.startswith(b"PK\x06\x07"):
        raise PackError(f"{name} lists far more files than a lect pack has: do not use it.")
