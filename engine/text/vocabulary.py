"""Vocabularies: text to token ids and back. Grapheme clusters, unigram subwords, phones, or Whisper's byte pairs.

The marks of slots (`slots`) are symbols of their own among graphemes and subwords, and stand for word boundaries
too. The runtime needs nothing but this file, `rules`, `slots` and `byte_pairs` of this room to use any of them. It does
not know the text rules (texts come normalised), how a vocabulary is built, nor the model's matrices.
"""

import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal, get_args

import regex

from ..contract.errors import TextError, UsageError
from . import byte_pairs
from .rules import graphemes, nfc
from .slots import CLOSING, Slot, is_mark, opening, parts
from .writable import is_writable, spaced

Kind = Literal["grapheme", "unigram", "phone", "bytes"]

# fairseq's order. PAD is also the CTC blank; decoding starts from EOS, as fairseq does, and ends at EOS.
BOS, PAD, EOS, UNK = 0, 1, 2, 3
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")

CONTROL = regex.compile(r"<\|.*\|>")  # a token that stands for no text, such as <|en|> or <|transcribe|>
_LANGUAGE = regex.compile(r"<\|[a-z]{2,3}\|>")
WORD_START = "▁"  # U+2581, in front of a subword that begins a word
UNKNOWN_PENALTY = 10.0  # an unknown character costs this much more than the rarest piece: the last resort

MOST_SYMBOLS, MOST_SYMBOL_LETTERS = 1_000_000, 1024  # of a file's; Whisper has 51,866 of up to 128
MOST_START = 64  # likewise; Whisper's is 4

PHONE_LETTERS = 3  # a token with more base letters (tʃ has two) is a word, not a phone


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id: the four specials, then `symbols`. Raises TextError when its parts do not fit together.

    Of kind "bytes" (Whisper's tokenizer) a symbol is a run of bytes as `byte_pairs` writes them, or a control
    token.
    """

    kind: Kind  # what a symbol is
    symbols: tuple[str, ...]  # distinct, in id order from 4; a word boundary is " ", in subwords a leading "▁"
    scores: tuple[float, ...] = ()  # natural logarithm of each subword's probability; only for "unigram"
    start: tuple[int, ...] = (EOS,)  # what the decoder reads before the first token that it writes
    suppressed: tuple[int, ...] = ()  # never written, as BOS, PAD and UNK are not

    def __post_init__(self) -> None:
        # From strangers' packs as well as from our own code, hence errors and not asserts.
        if self.kind not in get_args(Kind):
            raise TextError(f"The vocabulary is of the unknown kind {self.kind!r}: it may need a newer lect.")
        assert self._ids is not None  # raises what is wrong with the symbols
        expected = len(self.symbols) if self.kind == "unigram" else 0
        if len(self.scores) != expected or not all(map(math.isfinite, self.scores)):
            raise TextError("The vocabulary's scores do not fit its symbols: build it again.")
        known = all(0 <= token < len(self) for token in self.start + self.suppressed)
        if not self.start or not known or EOS in self.suppressed:
            raise TextError("The vocabulary starts with or suppresses a token that it must not: build it again.")

    def __len__(self) -> int:
        """Number of ids, the specials included."""
        return len(SPECIALS) + len(self.symbols)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Every token by id."""
        return SPECIALS + self.symbols

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, NFC or NFD, without BOS or EOS; what the vocabulary lacks is UNK."""
        return [self._ids.get(piece, UNK) for piece in self._pieces(text)]

    def unknown(self, text: str) -> list[str]:
        """What `encode` would turn into UNK, each once, in the order of the text."""
        return list(dict.fromkeys(piece for piece in self._pieces(text) if piece not in self._ids))

    def decode(self, ids: Iterable[int]) -> str:
        """Text of `ids` (undoes `encode` where nothing is unknown): no specials, single spaces, none at the ends."""
        text = "".join(self.pieces(ids, marks=True))
        # Phones stay as their symbols are written, which is decomposed when these are bare marks.
        return " ".join((text if self.kind == "phone" else nfc(text)).split())

    def pieces(self, ids: Iterable[int], *, marks: bool = False) -> list[str]:
        """The text that each of `ids` adds, spaces at word boundaries; "" for specials and control tokens.

        A character whose bytes are shared among tokens is the last one's. marks: those of slots, in their inline form;
        else only the word boundaries that they are.
        """
        symbols = ["" if CONTROL.fullmatch(symbol) else symbol for symbol in map(self._symbol, ids)]
        if self.kind == "bytes":
            return [spaced(piece) for piece in byte_pairs.decoded(symbols)]
        if self._has_marks:
            symbols = [_mark_piece(symbol, marks) if is_mark(symbol) else symbol for symbol in symbols]
        return [symbol.replace(WORD_START, " ") for symbol in symbols] if self.kind == "unigram" else symbols

    def sources(self, token: str) -> list[int]:
        """Ids of the tokens that mean what another vocabulary's `token` does.

        Itself, or else its characters; of a language that has no token, those of all languages; empty where unknown.
        """
        if token in SPECIALS:
            return [SPECIALS.index(token)]
        if is_mark(token) and token not in self._ids:
            return []  # it is not spoken, least of all like the letters of its name
        if self._normal(token) in self._ids and (self.kind != "bytes" or CONTROL.fullmatch(token)):
            return [self._ids[self._normal(token)]]
        if CONTROL.fullmatch(token):
            return [self._ids[f"<|{code}|>"] for code in self.languages()]
        if self.kind == "bytes":
            parts = byte_pairs.encoded(token.replace(WORD_START, " "), self._ids)
        else:  # as a phone symbol set writes them
            parts = list(unicodedata.normalize("NFD", token.lower().replace(WORD_START, " ").replace("ɡ", "g")))
        return [self._ids[part] for part in parts if part in self._ids]

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        value: dict[str, Any] = {"kind": self.kind, "symbols": list(self.symbols)}
        optional = {"scores": self.scores, "start": self.start, "suppressed": self.suppressed}
        return value | {key: list(item) for key, item in optional.items() if item not in ((), (EOS,))}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Vocabulary":
        """The vocabulary in a JSON object, which may come from a stranger. Raises TextError when it is none."""
        try:
            symbols = tuple(value["symbols"])
            _check_sizes(symbols)
            start, suppressed = tuple(value.get("start", (EOS,))), tuple(value.get("suppressed", ()))
            if len(start) > MOST_START or len(suppressed) > len(SPECIALS) + len(symbols):
                raise ValueError("it starts with or suppresses more tokens than any model does")
            if not all(type(token) is int for token in start + suppressed):
                raise TypeError("a token is not a number")
            scores = tuple(map(_number, value.get("scores", ())))
            return cls(value["kind"], symbols, scores, start, suppressed)
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise TextError("The vocabulary cannot be read: take it from the pack or backbone again.") from error

    def languages(self) -> tuple[str, ...]:
        """Those that a control token names, as Whisper's do: `<|sw|>` is Swahili. Sorted.

        None where the decoder does not start with one: English-only Whispers have the tokens but never learnt them.
        """
        codes = _languages(self.symbols)
        return codes if any(self._symbol(token)[2:-2] in codes for token in self.start) else ()

    def controls(self, names: Iterable[str]) -> list[int]:
        """Ids of the control tokens of these names, all of which it has."""
        return [self._ids[name] for name in names]

    def starting(self, language: str, task: str = "transcribe") -> "Vocabulary":
        """The same, but the decoder starts with the token of another language, or of translation into English.

        Raises UsageError when it has no token for them.
        """
        wanted = [f"<|{language}|>", f"<|{task}|>", "<|notimestamps|>"]
        if language not in self.languages() or not all(name in self._ids for name in wanted):
            known = ", ".join(self.languages()) or "none"
            raise UsageError(
                f"The backbone has no token for language {language!r} and task {task!r}; languages: {known}."
            )
        return replace(self, start=(BOS, *(self._ids[name] for name in wanted)))

    def starting_as(self, other: "Vocabulary") -> "Vocabulary":
        """The same, but starting with the tokens that `other` starts with, where it has them all."""
        names = [other.tokens[token] for token in other.start]
        own = {name: index for index, name in enumerate(self.tokens)}
        return replace(self, start=tuple(own[name] for name in names)) if own.keys() >= set(names) else self

    def led_by(self, backbone: "Vocabulary", language: str) -> "Vocabulary":
        """The same, but starting as `backbone` does, with its control tokens at the end of the symbols.

        The language's token is new where `backbone` has none.
        """
        names = [backbone.tokens[token] for token in backbone.start]
        spoken = {f"<|{code}|>" for code in backbone.languages()}
        controls = tuple(f"<|{language}|>" if name in spoken else name for name in names if name not in SPECIALS)
        first = tuple(SPECIALS.index(name) for name in names if name in SPECIALS)
        added = tuple(range(len(self), len(self) + len(controls)))
        scores = self.scores and (*self.scores, *(min(self.scores),) * len(controls))
        return Vocabulary(self.kind, self.symbols + controls, scores, first + added, self.suppressed + added)

    def _symbol(self, token: int) -> str:
        return self.symbols[token - len(SPECIALS)] if token >= len(SPECIALS) else ""

    @cached_property
    def _ids(self) -> dict[str, int]:
        return _numbered(self.kind, self.symbols)

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self._ids), default=1)

    def _normal(self, text: str) -> str:
        return _normal(self.kind, text)

    def _pieces(self, text: str) -> list[str]:
        """`text` cut into symbols, in normal form, and what lies between them."""
        if self._has_marks:
            return [piece for part in parts(text) for piece in self._part_pieces(part)]
        return self._said_pieces(text)

    def _part_pieces(self, part: str | Slot) -> list[str]:
        if isinstance(part, str):
            return self._said_pieces(part)
        return [opening(part.name), *self._said_pieces(part.value), CLOSING]

    @cached_property
    def _has_marks(self) -> bool:
        return CLOSING in self._ids

    def _said_pieces(self, text: str) -> list[str]:
        text = self._normal(" ".join(text.split()))
        if self.kind == "grapheme":
            return [piece for cluster in graphemes(text) for piece in self._spelled(cluster)]
        if self.kind == "bytes":
            return byte_pairs.encoded(f" {nfc(text)}" if text else "", self._ids)  # as Whisper's texts begin
        return self._best_pieces(text) if self.kind == "unigram" else self._longest_phones(text)

    def _spelled(self, cluster: str) -> list[str]:
        """A cluster; or, where only its letter and marks are symbols, these (decomposed)."""
        parts = list(unicodedata.normalize("NFD", cluster))
        return parts if cluster not in self._ids and all(part in self._ids for part in parts) else [cluster]

    def _longest_phones(self, text: str) -> list[str]:
        """Greedy longest match. A match that would leave a mark of its last letter over comes after any that does not.

        Spaces are word boundaries when " " is a symbol; otherwise they only keep phones apart.
        """
        pieces: list[str] = []
        start = 0
        while start < len(text):
            ends = range(start + 1, min(start + self._longest, len(text)) + 1)
            known = [end for end in ends if text[start:end] in self._ids]
            end = max(known, key=lambda end: (not _is_mark(text[end : end + 1]), end), default=start + 1)
            if known or text[start] != " ":
                pieces.append(text[start:end])
            start = end
        return pieces

    def _best_pieces(self, text: str) -> list[str]:
        """The most probable cutting of `text` into subwords (Viterbi); an unknown character is a piece by itself."""
        text = (WORD_START + text.replace(" ", WORD_START)) if text else ""
        unknown_score = min(self.scores, default=0.0) - UNKNOWN_PENALTY
        best = [0.0] + [-math.inf] * len(text)  # of text[:end]
        cut = [0] * (len(text) + 1)  # where the last piece of text[:end] starts
        for end in range(1, len(text) + 1):
            for start in range(max(0, end - self._longest), end):
                score = self._scores.get(text[start:end], unknown_score if start == end - 1 else -math.inf)
                if best[start] + score > best[end]:
                    best[end], cut[end] = best[start] + score, start
        pieces: list[str] = []
        end = len(text)
        while end:
            pieces.append(text[cut[end] : end])
            end = cut[end]
        return pieces[::-1]

    @cached_property
    def _scores(self) -> dict[str, float]:
        return dict(zip(self._ids, self.scores, strict=True))


# A Whisper's 50,000 symbols are the same in every copy that only starts otherwise.
@lru_cache(maxsize=8)
def _numbered(kind: Kind, symbols: tuple[str, ...]) -> dict[str, int]:
    """Each symbol's id, by its normal form. Raises TextError."""
    ids = {_normal(kind, symbol): index for index, symbol in enumerate(symbols, start=len(SPECIALS))}
    if "" in symbols or len(ids) != len(symbols) or ids.keys() & set(SPECIALS):
        raise TextError("The vocabulary has an empty, repeated or reserved symbol: build it again.")
    if not is_writable("".join(symbols)):
        raise TextError("The vocabulary has a symbol that no file can hold, or that terminals obey: do not use it.")
    return ids


@lru_cache(maxsize=8)
def _languages(symbols: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({symbol[2:-2] for symbol in symbols if symbol[:2] == "<|" and _LANGUAGE.fullmatch(symbol)}))


def _normal(kind: Kind, text: str) -> str:
    if kind == "bytes":
        return text  # symbols are bytes written as letters, which have no normal form
    # Phones are matched decomposed, so that a symbol set may hold a mark by itself and still know ã.
    return unicodedata.normalize("NFD", text) if kind == "phone" else nfc(text)


def _check_sizes(symbols: tuple[Any, ...]) -> None:
    if len(symbols) > MOST_SYMBOLS:
        raise ValueError("more symbols than any model has")
    if not all(isinstance(symbol, str) and len(symbol) <= MOST_SYMBOL_LETTERS for symbol in symbols):
        raise TypeError("a symbol is not text")


def _number(value: object) -> float:
    if type(value) not in (int, float):
        raise TypeError(f"{value!r:.20} is not a number")
    return float(value)  # type: ignore[arg-type]


def _is_mark(character: str) -> bool:
    return unicodedata.category(character or " ").startswith("M")


def _mark_piece(mark: str, shown: bool) -> str:
    return (f" {mark} " if mark != CLOSING else "] ") if shown else " "
