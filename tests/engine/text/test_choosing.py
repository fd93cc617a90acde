"""Sentences are chosen for what was recorded least."""

import random

from lect.engine.text.choosing import choose, units


def test_units_are_letters_and_neighbours_with_the_edges_of_words() -> None:
    assert units("ba a") == {"b": 1, "a": 2, "_b": 1, "ba": 1, "a_": 2, "_a": 1}
    assert units("ŋ̊a")["_ŋ̊"] == 1, "a letter with its marks is one"
    assert units("") == {}


def test_what_was_never_recorded_comes_first_and_counts_for_the_next() -> None:
    candidates = ["ba ba ba ba", "ŋa", "ba", "ŋa ŋa", "xu"]
    chosen = choose(candidates, ["ba ba", "ba"], 10)
    assert [one.text for one in chosen][:2] == ["ŋa", "xu"] or [one.text for one in chosen][:2] == ["xu", "ŋa"]
    assert [one.index for one in chosen] == [candidates.index(one.text) for one in chosen]
    assert "ba" not in {one.text for one in chosen}, "it is recorded"
    first = next(one for one in chosen if one.text == "ŋa")
    assert set(first.new) == {"ŋ", "_ŋ", "ŋa"} and first.brings[-1] == ("a_", 3)
    assert not {*chosen[-1].new}


def test_chosen_sentences_cover_more_than_random_ones() -> None:
    rng = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    shares = [1 / (1 + rank) ** 1.5 for rank in range(26)]
    texts = [" ".join("".join(rng.choices(letters, shares, k=4)) for _ in range(5)) for _ in range(200)]
    chosen = {unit for one in choose(texts, [], 20) for unit in units(one.text)}
    at_random = [len({unit for text in rng.sample(texts, 20) for unit in units(text)}) for _ in range(50)]
    assert len(chosen) > max(at_random)
    assert choose([], [], 5) == choose(["", "ba"], ["ba"], 5) == []
