"""What a column of a table without header holds, told from its cells: names, or texts, or texts in other words."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

MANY = 0.5  # of the rows: what holds for these holds for the column
MOST_NAME_LETTERS, MOST_NAME_WORDS = 40, 3  # of a speaker
CODE = re.compile(r"[^\W\d_][-_]?\d|\d[-_]?[^\W\d_]")  # of a speaker: m1, spk-07, 3b
ALIKE, ALIKE_LETTERS = 0.5, 0.65  # of the words, or letters, of two texts: one is the other, written out
COMPARED_LETTERS = 200  # of two texts, which takes quadratic time


def holds_names(column: Sequence[str], other: Sequence[str]) -> bool:
    """Whether a column names speakers, or the like, of what another column has as text."""
    names, texts = [each for each in column if each], [each for each in other if each]
    if not names or not texts or are_alike([(a, b) for a, b in zip(column, other, strict=True) if a and b]):
        return False
    if max(map(len, names)) > MOST_NAME_LETTERS or max(len(each.split()) for each in names) > MOST_NAME_WORDS:
        return False
    if any(len(each.split()) > 1 for each in names):
        return _words(texts) > _words(names) and _repeats(names) and not _repeats(texts)
    if all(map(CODE.search, names)) and not any(map(CODE.search, texts)):
        return True
    # Words of a list, said by many, cannot be told from the names of those who say them.
    return _words(texts) > 1 and (_repeats(names) or not _repeats(texts))


def _words(column: Sequence[str]) -> float:
    return sum(len(each.split()) for each in column) / len(column)


def _repeats(column: Sequence[str]) -> bool:
    return len(column) > 1 and len(set(column)) <= MANY * len(column)


def are_alike(pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether most of some pairs are one text, written in two ways."""
    alike = [_shares(*pair) for pair in pairs]
    return bool(alike) and sum(alike) > MANY * len(alike)


def _shares(raw: str, spoken: str) -> bool:
    raw, spoken = raw[:COMPARED_LETTERS], spoken[:COMPARED_LETTERS]
    words, others = (set(re.findall(r"\w+", each.casefold())) for each in (raw, spoken))
    if words & others and len(words & others) >= ALIKE * min(len(words), len(others)):
        return True
    match = SequenceMatcher(None, raw.casefold(), spoken.casefold(), autojunk=False)
    return min(match.real_quick_ratio(), match.quick_ratio()) >= ALIKE_LETTERS and match.ratio() >= ALIKE_LETTERS
