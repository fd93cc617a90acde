"""A new vocabulary from the texts of a lect: symbols, subwords where they pay, or whole words.

It does not know the text rules: texts come normalised. Only subwords need the `tokenizers` library.
"""

import json
import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from ..contract.errors import TextError, UsageError
from .rules import RARE_CLIPS, graphemes, nfc
from .slots import CLOSING, opening, plain, slots_of
from .vocabulary import PHONE_LETTERS, SPECIALS, WORD_START, Kind, Vocabulary

# Subwords pay when each occurs often enough: 200 characters a piece is about 50 occurrences of each in speech.
UNIGRAM_PIECES = 1_000
CHARACTERS_PER_PIECE = 200
UNIGRAM_CHARACTERS = UNIGRAM_PIECES * CHARACTERS_PER_PIECE  # of text, about four hours of speech; below, graphemes
UNIGRAM_GRAPHEMES = 200  # a script with more (Chinese, Hangul, much of India) stays with graphemes,
UNIGRAM_WORD_LENGTH = 20  # and so does one whose words, at more characters on average, are not kept apart by spaces

MOST_COMMANDS, MOST_COMMAND_WORDS = 60, 4
TIMES_SAID = 4  # each, on average: word lists and sentences are read by each speaker once


def are_commands(texts: Sequence[str]) -> bool:
    """Whether normalised texts, a label each, are a few short ones said again and again, as commands and digits are."""
    said = set(texts)
    few = 1 < len(said) <= MOST_COMMANDS and len(texts) >= TIMES_SAID * len(said)
    return few and all(len(text.split()) <= MOST_COMMAND_WORDS for text in said)


def build_vocabulary(texts: Iterable[str], kind: Kind | Literal["auto", "word"] = "auto") -> Vocabulary:
    """The vocabulary of normalised `texts`, a label each. Raises TextError when they hold nothing.

    "word" takes each word of the texts whole, as a subword: for commands and digits, where no other ever occurs.

    "auto" is "unigram" from UNIGRAM_CHARACTERS of text on, in a script with spaces and few letters, and otherwise
    "grapheme". "phone" takes IPA: phones kept apart by spaces, each of which becomes a symbol (`tʃ aː b`); or, where
    tokens are longer than phones are, running words, whose characters and marks become the symbols, with the space.
    Marks of slots, in all but phones, follow the symbols of what is spoken.
    """
    marked = list(texts)
    spoken = _built([plain(text) for text in marked], kind)
    names = sorted({slot.name for text in marked for slot in slots_of(text)})
    if kind == "phone" or not names:
        return spoken
    marks = (*map(opening, names), CLOSING)
    scores = spoken.scores and (*spoken.scores, *(min(spoken.scores),) * len(marks))
    return Vocabulary(spoken.kind, spoken.symbols + marks, scores)


def grown(vocabulary: Vocabulary, texts: Iterable[str], *, words: bool = False) -> Vocabulary:
    """The same tokens by the same ids, and behind them what normalised `texts` have that they cannot write.

    words: of whole words, as "word" builds them. A vocabulary of bytes can write anything.
    """
    marked = list(texts)
    if vocabulary.kind == "bytes":
        return vocabulary
    spoken = [plain(text) for text in marked]
    if words:
        lacking = [WORD_START + word for text in spoken for word in nfc(text).split()]
    else:
        lacking = [piece for text in spoken for piece in vocabulary.unknown(text)]
    if vocabulary.kind == "grapheme":
        clips = Counter(lacking)  # each once a text
        lacking = [symbol for cluster in clips for symbol in _symbols_of(cluster, rare=clips[cluster] < RARE_CLIPS)]
    names = {slot.name for text in marked for slot in slots_of(text)} if vocabulary.kind != "phone" else set()
    marks = [*map(opening, sorted(names)), CLOSING] if names else []
    added = tuple(sorted(set(lacking) - set(vocabulary.tokens))) + tuple(m for m in marks if m not in vocabulary.tokens)
    scores = vocabulary.scores and (*vocabulary.scores, *(min(vocabulary.scores),) * len(added))
    return replace(vocabulary, symbols=vocabulary.symbols + added, scores=scores)


def _built(labels: Sequence[str], kind: Kind | Literal["auto", "word"]) -> Vocabulary:
    if not any(labels):
        raise TextError("There is no text to build a vocabulary from: label some clips first.")
    if kind == "phone":
        return Vocabulary("phone", tuple(_phone_symbols(labels)))
    if kind == "word":
        return _whole_words(labels)
    clips = Counter(cluster for label in labels for cluster in set(graphemes(nfc(label))))
    if kind == "unigram" or (kind == "auto" and _subwords_pay(labels, len(clips))):
        return _learn_unigrams(labels)
    return Vocabulary("grapheme", tuple(_grapheme_symbols(clips)))


def _subwords_pay(labels: Sequence[str], symbols: int) -> bool:
    characters = sum(map(len, labels))
    words = sum(label.count(" ") + 1 for label in labels)
    return (
        characters >= UNIGRAM_CHARACTERS and symbols <= UNIGRAM_GRAPHEMES and characters <= words * UNIGRAM_WORD_LENGTH
    )


def _grapheme_symbols(clips: Mapping[str, int]) -> list[str]:
    """Clusters; but a rare one is spelled with its letter and its marks, which occur more often than it does."""
    # Else 60 % of Hindi's symbols would be seen once or twice in 100 sentences, and many more never.
    return sorted({s for cluster, count in clips.items() for s in _symbols_of(cluster, rare=count < RARE_CLIPS)})


def _symbols_of(cluster: str, rare: bool) -> Iterable[str]:
    return unicodedata.normalize("NFD", cluster) if rare else (cluster,)


def _phone_symbols(labels: Sequence[str]) -> list[str]:
    """Phones kept apart by spaces; or the characters, marks and space of running words."""
    decomposed = [unicodedata.normalize("NFD", label) for label in labels]
    tokens = sorted({token for label in decomposed for token in label.split()})
    if all(sum(unicodedata.category(char) in ("Ll", "Lo") for char in token) <= PHONE_LETTERS for token in tokens):
        return [nfc(token) for token in tokens]
    return sorted(set("".join(decomposed)))


def _whole_words(labels: Sequence[str]) -> Vocabulary:
    words = Counter(word for label in labels for word in nfc(label).split())
    scores = tuple(math.log(count / words.total()) for _, count in sorted(words.items()))
    return Vocabulary("unigram", tuple(WORD_START + word for word in sorted(words)), scores)


def _learn_unigrams(labels: Sequence[str]) -> Vocabulary:
    try:
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    except ImportError as error:
        raise UsageError(
            "Subwords need the training extra: run pip install 'lect[train]', or use graphemes."
        ) from error
    alphabet = len(set("".join(labels)))
    size = max(2 * alphabet, min(UNIGRAM_PIECES, sum(map(len, labels)) // CHARACTERS_PER_PIECE))
    if size > UNIGRAM_PIECES:
        raise TextError(f"The text has {alphabet} different characters, too many for subwords: use graphemes.")
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=WORD_START, prepend_scheme="always")
    trainer = trainers.UnigramTrainer(vocab_size=size, show_progress=False, special_tokens=[], unk_token=None)
    tokenizer.train_from_iterator(map(nfc, labels), trainer)
    # The library adds in no fixed order: scores, and with them the order of pieces, would change from run to run.
    learnt = dict(sorted(json.loads(tokenizer.to_str())["model"]["vocab"]))
    draft = Vocabulary("unigram", tuple(learnt), tuple(learnt.values()))
    counts = Counter(token for label in labels for token in draft.encode(label))
    total = counts.total() + len(learnt)
    scores = (math.log((counts[token] + 1) / total) for token in range(len(SPECIALS), len(draft)))
    return Vocabulary("unigram", draft.symbols, tuple(round(score, 6) for score in scores))
