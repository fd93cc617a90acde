"""Which files the page's handlers are given: uploads, and no others. Every call of every handler passes here.

It does not know what the handlers do.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

# The fields in which a person at this machine may name a folder.
NAMING = {"import-folder", "open-path", "transcribe-backbone"}


@dataclass(frozen=True)
class Allowed:
    """Which files a browser may name."""

    uploads: Path
    local: bool  # whether it is on this machine, whose person may name folders too


class CheckedBlocks(gr.Blocks):
    """Blocks whose handlers are not called with a path that is not allowed, wherever in what a browser sent it is.

    Gradio's own check leaves out what it does not take for a file, and downloads what is an address.
    """

    allowed: Allowed

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *rest: Any, **options: Any) -> Any:
        """Gradio's, which every call of a handler begins with: it copies the files that `inputs` name."""
        check(inputs, self.allowed.uploads)
        if not self.allowed.local:
            check_fields([getattr(block, "elem_id", None) for block in block_fn.inputs], inputs)
        return await super().preprocess_data(block_fn, inputs, *rest, **options)


def check(sent: Any, uploads: Path) -> None:
    """Raises gr.Error if a file that is named in `sent` (JSON) is none of the uploads."""
    left = [sent]  # not by recursion: a stranger chooses the depth
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if "path" in value and not is_upload(value["path"], uploads):
                raise gr.Error("That file was not uploaded here: choose it again.", print_exception=False)
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)


def check_fields(names: Sequence[str | None], values: Sequence[Any]) -> None:
    """Raises gr.Error if a visitor from elsewhere names a folder, by which they would learn what is there."""
    for name, value in zip(names, values, strict=False):
        if name in NAMING and str(value or "").strip():
            sentence = "Folders of the server cannot be named from elsewhere: choose files."
            raise gr.Error(sentence, print_exception=False)


def is_upload(path: object, uploads: Path) -> bool:
    """Whether a path, links followed, is that of an uploaded file."""
    try:
        real = Path(os.path.realpath(str(path)))
        return isinstance(path, str) and real.is_relative_to(os.path.realpath(uploads)) and real.is_file()
    except (OSError, ValueError):  # too long, a NUL, not in the file system's encoding
        return False
