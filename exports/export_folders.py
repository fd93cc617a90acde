"""Folders that leave: made whole beside their place, summed, then renamed into it. It does not know what they hold."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lect.engine.contract.errors import UsageError
from lect.engine.model.backbone import SUMS, read_sums, write_sums


@contextmanager
def whole_folder(path: Path, mark: str) -> Iterator[Path]:
    """Yields a temporary folder; on success it gets its SHA256SUMS and takes the place of `path`, else it is removed.

    mark: the file that tells this kind of export; an earlier one at `path` is replaced, anything else is a UsageError.
    """
    if path.exists() and not _is_free(path, mark):
        raise UsageError(f"{path} holds other files than an earlier export's: choose another folder.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as temporary:
        made, replaced = Path(temporary) / "made", Path(temporary) / "replaced"
        made.mkdir()
        yield made
        write_sums(made)
        if path.exists():
            os.replace(path, replaced)
        os.replace(made, path)


def _is_free(path: Path, mark: str) -> bool:
    """Whether nothing that a person put there would be lost: every file is one that the export listed."""
    if not path.is_dir():
        return False
    files = {file.relative_to(path).as_posix() for file in path.rglob("*") if not file.is_dir() and file.name != SUMS}
    return not files or (mark in files and (path / SUMS).is_file() and files <= read_sums(path).keys())
