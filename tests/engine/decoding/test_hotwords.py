"""Words to prefer: what they add against a reference that looks at whole texts, and that nothing else changes."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from lect.engine.decoding.hotwords import Hotwords
from lect.engine.decoding.search import DecodeOptions, search
from lect.engine.text.vocabulary import EOS, Vocabulary
from tests.engine.decoding.test_search import TinyDecoder, log_softmax

LETTERS = Vocabulary("grapheme", (" ", "a", "b"))
UNSPACED = Vocabulary("grapheme", ("x", "a", "b"))
WIDE = DecodeOptions(beam_size=200, length_penalty=0.0, max_tokens=5, max_repeats=0)


def added(text: str, words: tuple[str, ...], boost: float) -> float:
    """What whole words of a text add, one by one."""
    return boost * sum(len(word) for word in text.split(" ") if word in words)


def walked(hotwords: Hotwords, tokens: list[int]) -> float:
    """What a text adds, token by token."""
    place, total = hotwords.start(1), 0.0
    for token in tokens:
        total += float(hotwords.gains(place)[0, 0, token])
        place = hotwords.after(place, np.array([[token]]))
    return total + float(hotwords.gains(place)[0, 0, EOS])


@pytest.mark.parametrize("words", [("ab",), ("a", "ab"), ("ba", "bab", "b"), ()])
def test_whole_words_add_and_parts_of_words_do_not(words: tuple[str, ...]) -> None:
    hotwords = Hotwords(LETTERS, words, 0.7)
    for length in range(6):
        for symbols in itertools.product(" ab", repeat=length):
            text = "".join(symbols)
            tokens = [4 + " ab".index(symbol) for symbol in symbols]
            assert walked(hotwords, tokens) == pytest.approx(added(text, words, 0.7)), text


@pytest.mark.parametrize("seed", range(6))
def test_the_search_finds_the_best_with_what_they_add(seed: int) -> None:
    decoder = TinyDecoder(np.random.default_rng(seed).normal(size=(1, 8)), sharpness=1.0)
    hotwords = Hotwords(LETTERS, ("ab", "b"), 1.5)
    (found,) = search(decoder, None, np.array([5]), replace(WIDE, hotwords=hotwords), eos=EOS)
    best = max(
        decoder.log_prob(tokens) + added("".join(LETTERS.pieces(tokens)), ("ab", "b"), 1.5)
        for length in range(6)
        for tokens in itertools.product((4, 5, 6), repeat=length)
    )
    assert found.score == pytest.approx(best, abs=1e-4)


def test_a_phrase_is_a_word_with_spaces() -> None:
    hotwords = Hotwords(LETTERS, ("ab", "ab ba"), 1.0)
    scores = {text: walked(hotwords, LETTERS.encode(text)) for text in ("ab ba", "ab bb", "ab", "aba ba", "ab b")}
    assert scores == {"ab ba": 5.0, "ab bb": 2.0, "ab": 2.0, "aba ba": 0.0, "ab b": 2.0}


def test_without_word_boundaries_a_word_may_be_anywhere() -> None:
    hotwords = Hotwords(UNSPACED, ("ab",), 1.0)
    scores = {text: walked(hotwords, UNSPACED.encode(text)) for text in ("xabx", "aab", "abab", "a", "xa")}
    assert scores == {"xabx": 2.0, "aab": 2.0, "abab": 4.0, "a": 0.0, "xa": 0.0}


def test_subwords_begin_words() -> None:
    vocabulary = Vocabulary("unigram", ("▁", "▁a", "b", "▁ab"), (-3.0, -1.0, -1.0, -9.0))
    hotwords = Hotwords(vocabulary, ("ab", "ac"), 1.0)
    assert hotwords.unknown == ["ac"]
    a, b = vocabulary.encode("ab")
    assert [walked(hotwords, tokens) for tokens in ([a, b], [a, b, a], [a, b, b], [a, b, a, b])] == [2.0, 2.0, 0.0, 4.0]


def test_confidences_are_the_models_own() -> None:
    rng = np.random.default_rng(0)
    ctc = log_softmax(rng.normal(size=(1, 8, 7))).astype(np.float32)
    for beam in (1, 4):
        options = DecodeOptions(beam_size=beam)
        (plain,) = search(None, ctc, np.array([8]), options)
        same = search(None, ctc, np.array([8]), replace(options, hotwords=Hotwords(LETTERS, (), 2.0)))
        (biased,) = search(None, ctc, np.array([8]), replace(options, hotwords=Hotwords(LETTERS, ("bab",), 50.0)))
        assert beam == 1 or same == [plain]
        assert "bab" in LETTERS.decode(biased.tokens).split()
        assert all(0 < confidence <= 1 for confidence in biased.token_confidences)
