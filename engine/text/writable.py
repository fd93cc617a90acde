r"""Text that every file and terminal can hold: what a stranger's file says may be printed, or written into XML.

Left out are control characters, which terminals obey and XML forbids, halves of characters, which no file can hold,
and the signs that turn the direction of a whole line, which make it read as another.
"""

import re

_UNWRITABLE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff\\ufffe\\uffff]")


def is_writable(text: str) -> bool:
    """Whether there is nothing in it that has to be escaped."""
    return _UNWRITABLE.search(text) is None


def escaped(text: str, kept: str = "") -> str:
    r"""The text with \u001b and the like written out, as JSON does too, but for the characters in `kept`."""
    return _UNWRITABLE.sub(lambda found: found[0] if found[0] in kept else f"\\u{ord(found[0]):04x}", text)


def spaced(text: str) -> str:
    """The text with spaces in place of them."""
    return _UNWRITABLE.sub(" ", text)
