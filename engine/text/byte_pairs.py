"""Byte pair encoding in GPT-2's form, which Whisper has too: a text's bytes, written in printable letters and merged.

Ranks are the ids of the vocabulary itself, as in every tokenizer of this form. It knows nothing else of vocabularies.
"""

import math
from codecs import getincrementaldecoder
from collections.abc import Iterable, Mapping
from itertools import pairwise

import regex

# English clitics, then runs of letters, digits and other signs with the space before them.
_WORDS = regex.compile(r"'(?:[stmd]|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+")


def _letters() -> tuple[str, ...]:
    """A printable letter for each byte, as GPT-2 writes them: Latin-1's own, and from U+0100 for the others."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(0x100, 0x200))
    return tuple(chr(byte if byte in printable else next(others)) for byte in range(256))


_LETTERS = _letters()
_BYTES = {letter: byte for byte, letter in enumerate(_LETTERS)}


def encoded(text: str, ranks: Mapping[str, int]) -> list[str]:
    """`text` as runs of letters, each a key of `ranks` or a single letter."""
    return [run for word in _WORDS.findall(text) for run in _merged(list(lettered(word)), ranks)]


def merges(ranks: Mapping[str, int]) -> list[tuple[str, str]]:
    """The pairs that make each run of several letters, in the order of their ranks.

    As tokenizers write them that do not rank by id: a run's pair is what the runs of lower rank leave of it.
    """
    runs = sorted((run for run in ranks if len(run) > 1 and _BYTES.keys() >= set(run)), key=ranks.__getitem__)
    pairs = [_merged(list(run), ranks, below=ranks[run]) for run in runs]
    return [(pair[0], pair[1]) for pair in pairs if len(pair) == 2]


def lettered(text: str | bytes) -> str:
    """The bytes of `text` as letters, a run that is not merged."""
    return "".join(_LETTERS[byte] for byte in (text.encode() if isinstance(text, str) else text))


def unlettered(run: str) -> bytes:
    """Undoes `lettered`."""
    return bytes(_BYTES[letter] for letter in run)


def decoded(runs: Iterable[str]) -> list[str]:
    """The text that each run of letters completes; what is no UTF-8 becomes U+FFFD."""
    decoder = getincrementaldecoder("utf-8")("replace")
    texts = [decoder.decode(bytes(_BYTES[letter] for letter in run if letter in _BYTES)) for run in runs]
    return [*texts[:-1], texts[-1] + decoder.decode(b"", final=True)] if texts else []


def _merged(runs: list[str], ranks: Mapping[str, int], below: float = math.inf) -> list[str]:
    """Of all neighbours that are one run together, those with the lowest rank merge first; below: which ranks count."""
    while True:
        pairs = [ranks.get(first + second, math.inf) for first, second in pairwise(runs)]
        if min(pairs, default=math.inf) >= below:
            return runs
        at = pairs.index(min(pairs))
        runs[at : at + 2] = ["".join(runs[at : at + 2])]
