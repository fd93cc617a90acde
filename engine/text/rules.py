"""Labels: the project's text rules, the symbols that they leave, and what those symbols are called.

Text is compared in NFC, so composed and decomposed spellings are the same; marks (category M) are parts of letters and
stay. The rules know no language, from which two things follow. Lowering is Unicode's: Turkish and Azerbaijani need
`replace=(("I", "ı"), ("İ", "i"))`. And at a word's edge an apostrophe cannot be told from a quotation mark: an
orthography that begins or ends words with one writes ʼ (U+02BC, a letter), or says `replace=(("'", "ʼ"),)`.
Marked slots (`slots`) stay marked: the rules act on what is spoken, not on the marks and names.
"""

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import regex

from ..contract.errors import TextError
from .slots import plain, rewritten

Case = Literal["lower", "keep"]
Punctuation = Literal["remove", "keep"]

MOST_RULES, MOST_RULE_LETTERS = 5_000, 100_000  # of all rules together
MOST_GROWTH, MOST_ADDED = 50, 10_000  # a text may become so many times as long, and so many letters longer

RARE_CLIPS = 3  # a symbol in fewer clips is seldom learnt, and often a typing mistake

# Symbols by category that are letters by use: IPA tone bars and contours, the rhotic hook, ꞉ and ꞊; and a replacement
# character, which must stay to be seen in the inventory.
_LETTER_SYMBOLS = r"\u02C2-\u02DF\u02E5-\u02FF\uA700-\uA721\uA789\uA78A\uFFFD"
_WORD = rf"\p{{L}}\p{{M}}\p{{N}}\p{{Co}}{_LETTER_SYMBOLS}"
# Part of a word when inside one: apostrophes and what is typed for them, geresh, hyphens, maqaf, middle dots, tsheg.
_IN_WORD = r"'’‘`´′՚׳״\-‐‑־·‧་"
# A mark on a punctuation sign goes with it, or it would sit on the space.
_PUNCTUATION = regex.compile(
    rf"(?V1)(?!(?<=[{_WORD}])[{_IN_WORD}](?=[{_WORD}]))[[\p{{P}}\p{{S}}]--[{_LETTER_SYMBOLS}]][\p{{M}}\u200D]*"
)
# Unseen and unheard: soft hyphens, direction marks, byte order marks, tags, halves of broken characters.
_INVISIBLE = regex.compile(
    r"[\u00AD\u061C\u180E\u200E\u200F\u202A-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB\U000E0000-\U000E007F\p{Cs}]"
)
# Joiners shape the letters between which they stand, or the mark they follow; elsewhere they only make words differ.
_STRAY_JOINER = regex.compile(
    rf"(?V1)(?<![{_WORD}])[\u200C\u200D]+|(?<!\p{{M}})[\u200C\u200D]++(?![{_WORD}])|(?<=\p{{M}}[\u200C\u200D])[\u200C\u200D]+"
)
_SPACE = regex.compile(r"[\s\p{Cc}\u200B]+")  # U+200B is the word boundary of Khmer, Thai and Burmese
_MARKS = regex.compile(r"\p{M}+")
_STANDS_ALONE = regex.compile(r"([\s\u200C])")
_CLUSTER = regex.compile(r"\X")


def nfc(text: str) -> str:
    """Composed form: the one in which text is stored, compared and counted."""
    return unicodedata.normalize("NFC", text)


@dataclass(frozen=True)
class TextRules:
    """What is done to every label and transcript before anything is learnt or counted. Travels with the pack.

    `remove` and `replace` act in their order, removals first. A rule that holds capitals sees the text before it is
    lowered, any other sees it after, so "sh" also stands for "Sh". A rule for a bare mark (such as U+0301, a tone)
    reaches into composed letters; a rule for a letter leaves alone those that Unicode composes with a mark (é, й, ñ).
    """

    case: Case = "lower"  # "lower", or "keep" where case tells words apart
    punctuation: Punctuation = (
        "remove"  # "remove" leaves apostrophes and hyphens inside words, tone letters and joiners
    )
    remove: tuple[str, ...] = ()  # strings taken out, such as "[laughs]" or a tone mark
    replace: tuple[tuple[str, str], ...] = ()  # (old, new) strings

    def __post_init__(self) -> None:
        if self.case not in ("lower", "keep"):
            raise TextError(f"The text rule for case is {self.case!r}: say 'lower' or 'keep'.")
        if self.punctuation not in ("remove", "keep"):
            raise TextError(f"The text rule for punctuation is {self.punctuation!r}: say 'remove' or 'keep'.")
        rules = self._substitutions()
        if len(rules) > MOST_RULES or sum(len(old) + len(new) for old, new in rules) > MOST_RULE_LETTERS:
            raise TextError(f"There are more than {MOST_RULES} text rules, or very long ones: leave some out.")
        if not all(old for old, _ in rules):
            raise TextError("A text rule removes or replaces nothing: say which characters it is for.")

    @property
    def name(self) -> str:
        """The normalisation's name, for the side of every error rate; equal names mean equal rules."""
        parts = ["nfc"]
        parts += ["lower"] if self.case == "lower" else []
        parts += ["nopunct"] if self.punctuation == "remove" else []
        if rules := self._substitutions():
            parts.append("custom-" + hashlib.sha256(json.dumps(rules).encode()).hexdigest()[:8])
        return "+".join(parts)

    def apply(self, text: str) -> str:
        """`text` under these rules: NFC, single spaces, none at the ends; empty when nothing is left.

        Raises TextError where the rules make it far longer, as those do whose results others replace again.
        """
        return rewritten(text, self._applied)

    def _applied(self, text: str) -> str:
        most = MOST_GROWTH * len(text) + MOST_ADDED
        text = nfc(_INVISIBLE.sub("", text))
        rules, lowered = self._substitutions(), self.case == "lower"
        for old, new in rules:
            if lowered and old != old.lower():
                text = _substitute(text, old, new, most)
        if lowered:
            text = nfc(text.lower())
        for old, new in rules:
            if not lowered or old == old.lower():
                text = _substitute(text, old, new, most)
        if self.punctuation == "remove":
            text = _PUNCTUATION.sub(" ", text)
        return nfc(_SPACE.sub(" ", _STRAY_JOINER.sub("", text)).strip())

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return {
            "case": self.case,
            "punctuation": self.punctuation,
            "remove": list(self.remove),
            "replace": [list(pair) for pair in self.replace],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "TextRules":
        """The rules in a JSON object, which may come from a stranger. Raises TextError when it is none."""
        try:
            remove = tuple(map(_string, value["remove"]))
            replace = tuple((_string(old), _string(new)) for old, new in value["replace"])
            return cls(value["case"], value["punctuation"], remove, replace)
        except (KeyError, TypeError, ValueError) as error:
            raise TextError("The text rules cannot be read: take them from the pack or project again.") from error

    def _substitutions(self) -> list[tuple[str, str]]:
        return [*((old, "") for old in self.remove), *self.replace]


@dataclass(frozen=True)
class SymbolCount:
    """One symbol of a set of labels."""

    symbol: str  # a grapheme cluster, NFC
    count: int  # how often it occurs
    clips: int  # in how many labels
    names: tuple[str, ...]  # Unicode's name of each of its characters: tells look-alikes apart
    rare: bool  # in fewer than RARE_CLIPS labels

    @property
    def script(self) -> str:
        """The first word of its name: LATIN, CYRILLIC, ARABIC, COMBINING, MODIFIER, DIGIT."""
        return self.names[0].split()[0]


def graphemes(text: str) -> list[str]:
    """What a reader counts as characters: Unicode's extended grapheme clusters; joined they are `text` again.

    Two exceptions. A space stands alone even before a stray mark, or a word boundary would be lost; so does U+200C
    (ZWNJ), or every Persian letter before one would be a symbol of its own.
    """
    return [cluster for part in _STANDS_ALONE.split(text) for cluster in _CLUSTER.findall(part)]


def inventory(texts: Iterable[str], rules: TextRules) -> list[SymbolCount]:
    """Every symbol but the space that `rules` leave in `texts` (a label each), the most frequent first."""
    counts: Counter[str] = Counter()
    clips: Counter[str] = Counter()
    for text in texts:
        symbols = Counter(graphemes(plain(rules.apply(text))))
        counts.update(symbols)
        clips.update(symbols.keys())
    ordered = sorted(counts.keys() - {" "}, key=lambda symbol: (-counts[symbol], symbol))
    return [SymbolCount(s, counts[s], clips[s], _names(s), clips[s] < RARE_CLIPS) for s in ordered]


def _names(symbol: str) -> tuple[str, ...]:
    return tuple(unicodedata.name(character, f"U+{ord(character):04X}") for character in symbol)


def _substitute(text: str, old: str, new: str, most: int) -> str:
    """`text` with `new` for `old`. Raises TextError where it would have more than `most` letters."""
    form: Literal["NFD", "NFC"] = "NFD" if _MARKS.fullmatch(old) else "NFC"
    text, old = unicodedata.normalize(form, text), unicodedata.normalize(form, old)
    if text.count(old) * len(new) > most:
        raise TextError("The text rules make a text far longer than it was: take out those that feed each other.")
    return nfc(text.replace(old, new))


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value
