"""The language model of texts: against counts written out, in the search, and in a file."""

import itertools
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy

from lect.engine.contract.errors import TextError
from lect.engine.decoding.language_model import MOST_NGRAMS, ORDER, LanguageModel
from lect.engine.decoding.search import DecodeOptions, search
from lect.engine.text.vocabulary import EOS, UNK
from tests.engine.decoding.test_search import TinyDecoder

SIZE = 8
TEXTS = ((4, 5, 4, 5, 6), (4, 5), (6, 6, 6), (5, 4, 5, 4, 5, 4, 5, 7))


def counted(texts: Sequence[Sequence[int]]) -> dict[tuple[int, ...], Counter[int]]:
    """What stands behind every context of up to ORDER - 1 tokens."""
    found: dict[tuple[int, ...], Counter[int]] = {}
    for text in texts:
        padded = (EOS,) * (ORDER - 1) + tuple(text) + (EOS,)
        for place in range(ORDER - 1, len(padded)):
            for length in range(ORDER):
                found.setdefault(padded[place - length : place], Counter())[padded[place]] += 1
    return found


def probability(context: tuple[int, ...], token: int, counts: dict[tuple[int, ...], Counter[int]]) -> float:
    """Witten-Bell, by its definition."""
    lower = probability(context[1:], token, counts) if context else 1 / SIZE
    seen = counts.get(context, Counter())
    return (seen[token] + len(seen) * lower) / (seen.total() + len(seen)) if seen else lower


def added(language_model: LanguageModel, tokens: Sequence[int]) -> float:
    """What it adds to a text and its end."""
    place, total = language_model.start(1), 0.0
    for token in (*tokens, EOS):
        total += float(language_model.gains(place)[0, 0, token])
        place = language_model.after(place, np.array([[token]]))
    return total


@pytest.mark.parametrize("tokens", [(), (4, 5, 4, 5, 6), (7, 7, 4), (6,) * 9, (4, 5, 4, 5, 4, 5, 6, 7)])
def test_it_is_the_smoothed_probability_of_each_token(tokens: tuple[int, ...]) -> None:
    counts, history = counted(TEXTS), (EOS,) * (ORDER - 1) + tokens + (EOS,)
    expected = sum(
        np.log(probability(history[place - ORDER + 1 : place], history[place], counts))
        for place in range(ORDER - 1, len(history))
    )
    assert added(LanguageModel.of(TEXTS, SIZE, 0.3), tokens) == pytest.approx(0.3 * expected)


def test_probabilities_of_all_tokens_sum_to_one() -> None:
    language_model = LanguageModel.of(TEXTS, SIZE, 1.0)
    place = language_model.start(1)
    for token in TEXTS[0]:
        assert np.exp(language_model.gains(place)).sum() == pytest.approx(1)
        place = language_model.after(place, np.array([[token]]))


def test_no_texts_tell_nothing() -> None:
    assert added(LanguageModel.of([], SIZE, 1.0), (4, 5)) == pytest.approx(-3 * np.log(SIZE))


def test_what_stands_beside_an_unknown_symbol_is_left_out() -> None:
    ngrams = LanguageModel.of([(4, UNK, 5), (6, 7)], SIZE, 1.0).ngrams
    assert not (ngrams == UNK).any() and (ngrams == 7).any()


@pytest.mark.parametrize("seed", range(6))
def test_the_search_finds_the_best_with_what_it_adds(seed: int) -> None:
    decoder = TinyDecoder(np.random.default_rng(seed).normal(size=(1, 8)), sharpness=1.0)
    language_model = LanguageModel.of(TEXTS[:3], 7, 0.8)
    options = DecodeOptions(
        beam_size=200, length_penalty=0.0, max_tokens=5, max_repeats=0, language_model=language_model
    )
    (found,) = search(decoder, None, np.array([5]), options, eos=EOS)
    best = max(
        decoder.log_prob(tokens) + added(language_model, tokens)
        for length in range(6)
        for tokens in itertools.product((4, 5, 6), repeat=length)
    )
    assert found.score == pytest.approx(best, abs=1e-4)
    plain = search(decoder, None, np.array([5]), replace(options, language_model=None), eos=EOS)
    assert plain[0].score > found.score


def test_a_file_gives_it_back_and_equal_models_give_equal_bytes() -> None:
    data = LanguageModel.of(TEXTS, SIZE, 0.3).to_bytes()
    again = LanguageModel.from_bytes(data, SIZE)
    assert again.to_bytes() == data == LanguageModel.of(list(TEXTS), SIZE, 0.3).to_bytes()
    for tokens in ((4, 5), (7, 6, 6)):
        assert added(again, tokens) == added(LanguageModel.of(TEXTS, SIZE, 0.3), tokens)
    assert added(again.weighted(0.6), (4, 5)) == pytest.approx(2 * added(again, (4, 5)))


def test_only_the_frequent_rows_of_much_text_are_kept() -> None:
    rng = np.random.default_rng(0)
    language_model = LanguageModel.of(rng.integers(4, 400, (60, 4000)).tolist() + [[4, 5, 6]] * 9, 400, 0.1)
    assert len(language_model.counts) == MOST_NGRAMS and language_model.counts.max() == 9
    assert LanguageModel.from_bytes(language_model.to_bytes(), 400).to_bytes() == language_model.to_bytes()


GOOD = safetensors.numpy.load(LanguageModel.of(TEXTS, SIZE, 0.3).to_bytes())


@pytest.mark.parametrize(
    "damage",
    [
        {"ngrams": GOOD["ngrams"][::-1].copy()},
        {"ngrams": GOOD["ngrams"] + np.uint16(SIZE)},
        {"ngrams": GOOD["ngrams"].astype(np.float32)},
        {"ngrams": GOOD["ngrams"][:, 0].copy()},
        {"ngrams": np.tile(GOOD["ngrams"], 3)},
        {"counts": GOOD["counts"][1:].copy()},
        {"counts": GOOD["counts"] * np.uint32(0)},
        {"weight": np.array(7.0)},
        {"weight": np.array(np.nan)},
        {"weight": np.zeros(2)},
    ],
)
def test_a_damaged_file_is_refused(damage: dict[str, np.ndarray]) -> None:
    with pytest.raises(TextError, match="get it again"):
        LanguageModel.from_bytes(safetensors.numpy.save({**GOOD, **damage}), SIZE)


def test_a_file_that_is_none_is_refused() -> None:
    for data in (b"", b"not a model", safetensors.numpy.save({"ngrams": GOOD["ngrams"]})):
        with pytest.raises(TextError, match="get it again"):
            LanguageModel.from_bytes(data, SIZE)


def test_a_large_vocabulary_takes_little_memory() -> None:
    size = 100_000
    texts = np.random.default_rng(0).integers(4, size, (40, 30))
    model = LanguageModel.of(texts.tolist(), size, 0.3)
    tracemalloc.start()
    places = model.start(1)
    for token in texts.reshape(-1):
        model.gains(places)
        places = model.after(places, np.array([[token]]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300 << 20  # 1.6 GB where every context is remembered
