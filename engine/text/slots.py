"""Slots: the stretches of a label that say what was asked for, as in `a [size: large] latte with [milk: oat milk]`.

This inline form is what people write, and what labels, packs and transcripts hold: a name without spaces, a colon, a
value, in square brackets; slots lie beside each other, never inside of each other. What is not of this form is plain
text. It does not know vocabularies, text rules or scores, and needs nothing but the standard library.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ..contract.errors import TextError

_SLOT = re.compile(r"\[([^\s\[\]:]+):\s*([^\s\[\]][^\[\]]*)\]")
_OPENING = re.compile(r"\[[^\s\[\]:]+:")
CLOSING = "[/]"  # the mark at a slot's end as a token; the inline form writes "]"
# What SUPERB's tokenizer leaves out of Audio SNIPS, and the one sign that it spells (s3prl/downstream/ctc/text.py).
_SNIPS_SILENT, _SNIPS_SPELLED = "?!.,;-", {"&": "AND"}


class Slot(NamedTuple):
    """One slot."""

    name: str
    value: str


Part = str | Slot


def parts(text: str) -> list[Part]:
    """Slots and the plain texts between them, in order; `written` undoes it up to spaces."""
    found: list[Part] = []
    end = 0
    for match in _SLOT.finditer(text):
        found += [text[end : match.start()], Slot(unicodedata.normalize("NFC", match[1]), match[2].strip())]
        end = match.end()
    return [*found, text[end:]]


def written(found: Iterable[Part]) -> str:
    """The inline form, single spaces between; slots without a value are left out."""
    texts = (part if isinstance(part, str) else f"[{part.name}: {part.value}]" if part.value else "" for part in found)
    return " ".join(text for each in texts if (text := each.strip()))


def rewritten(text: str, change: Callable[[str], str]) -> str:
    """The text with everything but the marks and names of its slots changed."""
    found = (change(p) if isinstance(p, str) else Slot(p.name, change(p.value)) for p in parts(text))
    return written(found)


def slots_of(text: str) -> list[Slot]:
    """The slots of a text, in order."""
    return [part for part in parts(text) if isinstance(part, Slot)]


def plain(text: str) -> str:
    """What is spoken: the text without the marks and names of its slots."""
    return " ".join(" ".join(part if isinstance(part, str) else part.value for part in parts(text)).split())


def opening(name: str) -> str:
    """The mark at a slot's beginning, as a token."""
    return f"[{name}:"


def is_mark(token: str) -> bool:
    """Whether a token is the mark at a slot's beginning or end."""
    return token == CLOSING or bool(_OPENING.fullmatch(token))


def from_snips(line: str) -> str:
    """Audio SNIPS' label as SUPERB writes it, without the id: `BOS WORDS EOS<TAB>O TAGS INTENT` -> the inline form.

    A tag a word, `O` or a slot's name; equal tags beside each other are one slot, unless IOB's `B-` begins another.
    Punctuation that is a word of its own is left out, as SUPERB does. Raises TextError when there are not as many tags
    as words.
    """
    sentence, _, labels = line.strip().partition("\t")
    words, tags = sentence.split()[1:-1], labels.split()[1:-1]
    if len(words) != len(tags):
        raise TextError(f"A label of Audio SNIPS has {len(words)} words and {len(tags)} tags: {sentence[:60]!r}.")
    return written(_joined(words, tags))


def from_object(text: str) -> str:
    """Slots written as a JSON object, `{"size": "large"}`, in the inline form and their order; "" for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        return ""
    label = written(Slot(name, each) for name, each in value.items())
    return label if slots_of(label) == [*value.items()] else ""


def _joined(words: Sequence[str], tags: Sequence[str]) -> list[Part]:
    found: list[Part] = []
    before = "O"
    for word, tag in zip(words, tags, strict=True):
        word = "" if word in _SNIPS_SILENT else _SNIPS_SPELLED.get(word, word)
        begins, name = tag.startswith("B-"), re.sub("^[BI]-", "", tag)
        if name == "O":
            found.append(word)
        elif name == before and not begins and isinstance(last := found[-1], Slot):
            found[-1] = Slot(name, f"{last.value} {word}".strip())
        else:
            found.append(Slot(name, word))
        before = name
    return found
