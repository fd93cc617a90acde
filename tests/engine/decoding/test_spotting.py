"""Words are found where a CTC head is sure of them, at the cost that a plain search over all paths gives."""

import math
from itertools import product

import numpy as np
import pytest

from lect.engine.decoding.spotting import STEP, Costs, costs, heard_tokens, spot
from lect.engine.text.vocabulary import PAD

SPACE, A, B, C = 4, 5, 6, 7
SYMBOLS = 8


def heard(path: list[int], sureness: float = 6.0, seed: int = 0) -> Costs:
    """What a head is sure of that hears `path`, a token a frame."""
    logits = np.random.default_rng(seed).standard_normal((len(path), SYMBOLS)).astype(np.float32)
    logits[np.arange(len(path)), path] += sureness
    return costs(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


def cheapest(piece: Costs, tokens: list[int]) -> int:
    """By trying every path of every stretch."""
    best = 255 * piece.shape[1]
    for first in range(piece.shape[1]):
        for last in range(first + 1, piece.shape[1] + 1):
            for path in product({PAD, *tokens}, repeat=last - first):
                edges = path[0] != PAD and path[-1] != PAD
                if edges and collapsed(path) == tokens:
                    best = min(best, sum(int(piece[token, first + n]) for n, token in enumerate(path)))
    return best


def collapsed(path: tuple[int, ...]) -> list[int]:
    return [token for before, token in zip((PAD, *path), path, strict=False) if token not in (PAD, before)]


@pytest.mark.parametrize("tokens", [[A], [A, B], [A, A], [B, A, B]])
@pytest.mark.parametrize("seed", range(3))
def test_the_cost_is_that_of_the_cheapest_path(tokens: list[int], seed: int) -> None:
    piece = np.random.default_rng(seed).integers(0, 60, (SYMBOLS, 5)).astype(np.uint8)
    found = spot([piece], tokens, least=1e-9)
    assert found[0].score == pytest.approx(math.exp(-STEP * cheapest(piece, tokens) / len(tokens)))


def test_words_are_found_where_they_are_best_first() -> None:
    said = [PAD, A, A, PAD, B, PAD, SPACE, C, PAD, PAD, A, B, SPACE, PAD]
    found = spot([heard([C, C, PAD], seed=1), heard(said), heard([A, PAD, B, PAD], 1.5, 2)], [A, B], 0.2)
    assert [(each.piece, each.start, each.end) for each in found[:2]] == [(1, 2, 5), (1, 10, 12)]
    assert found[0].score == found[1].score == 1
    assert found[-1].piece == 2 and found[-1].score < 1


def test_whole_words_alone_where_boundaries_are_marked() -> None:
    inside, alone, first = [C, A, B, SPACE], [C, SPACE, PAD, A, B, PAD, SPACE, C], [A, PAD, B, SPACE, C]
    pieces = [heard(path, 9.0, n) for n, path in enumerate((inside, alone, first))]
    assert {each.piece for each in spot(pieces, [A, B], 0.9)} == {0, 1, 2}
    whole = spot(pieces, [A, B], 0.9, boundary=SPACE)
    assert {(each.piece, each.start, each.end) for each in whole} == {(1, 3, 5), (2, 0, 3)}


def test_pieces_of_any_length_and_none() -> None:
    pieces = [heard([A])[:, :0], heard([A]), heard([PAD] * 40 + [A, B] + [PAD] * 30)]
    found = spot(pieces, [A, B], 0.9)
    assert [(each.piece, each.start, each.end) for each in found] == [(2, 40, 42)]
    assert spot(pieces[:1], [A], 0.1) == []


def test_an_example_is_what_was_heard_in_it() -> None:
    assert heard_tokens([heard([PAD, A, A, PAD, A]), heard([A, B, PAD])]) == (A, A, A, B)
    assert heard_tokens([]) == ()
