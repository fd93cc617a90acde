"""A recording's name in a text: names that are not UTF-8 are common on old disks, and no text can hold their bytes."""

import os
from pathlib import Path
from urllib.parse import quote

from lect.engine.text.writable import escaped


def name_of(media: Path) -> str:
    r"""The name as text: bytes that are none as \xe9, control characters as \u001b."""
    return readable(media.name)


def readable(name: str) -> str:
    r"""A name of the file system's as text: bytes that are none as \xe9, control characters as \u001b."""
    return escaped(os.fsencode(name).decode("utf-8", "backslashreplace"))


def relative_url(media: Path) -> str:
    """The address of a recording beside a document, as ELAN writes it: plain, unless its name is no text."""
    return f"./{media.name}" if name_of(media) == media.name else "./" + quote(os.fsencode(media.name))
