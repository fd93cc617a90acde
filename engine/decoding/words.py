"""The words of a hypothesis, with what the search thinks of each."""

from dataclasses import dataclass, replace

from ..text.rules import nfc
from ..text.vocabulary import Vocabulary
from .search import Hypothesis


@dataclass(frozen=True)
class Word:
    """One word of a hypothesis, and the tokens it is made of."""

    text: str
    confidence: float  # in [0, 1]: the product of its tokens' confidences
    first_token: int  # index into Hypothesis.tokens
    end_token: int  # one past the last


def words(vocabulary: Vocabulary, hypothesis: Hypothesis) -> list[Word]:
    """The words of a hypothesis, spelled as `vocabulary.decode` does.

    A word's confidence is the product of its tokens'; what follows it (a space, the end) does not count.
    """
    found = list[Word]()
    word = Word("", 1.0, 0, 0)
    for index, piece in enumerate(vocabulary.pieces(hypothesis.tokens)):
        for part, letters in enumerate(piece.split(" ")):
            if part or word.first_token == word.end_token:
                found.append(word)
                word = Word("", 1.0, index, index)
            if letters or not piece:  # a token may be a part of a letter's bytes
                confidence = word.confidence * hypothesis.token_confidences[index]
                word = Word(word.text + letters, confidence, word.first_token, index + 1)
    composed = str if vocabulary.kind == "phone" else nfc
    return [replace(word, text=composed(word.text)) for word in (*found, word) if word.text]
