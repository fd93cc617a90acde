"""Tokens in time by cross-attention: dynamic time warping on matrices made by hand."""

from itertools import pairwise, product

import numpy as np

from lect.engine.decoding.attention_alignment import MEDIAN_FRAMES, attention_align, smoothed, warped

HEADS = 2


def test_a_path_follows_what_is_cheap() -> None:
    costs = np.ones((3, 7))
    for row, frames in enumerate([(0, 1), (2, 3, 4), (5, 6)]):
        costs[row, list(frames)] = 0
    assert warped(costs).tolist() == [0, 2, 5]


def test_rows_may_share_a_frame_and_one_row_takes_all() -> None:
    assert warped(np.array([[0.0, 9], [0, 9], [0, 0]])).tolist() == [0, 0, 0]
    assert warped(np.zeros((3, 1))).tolist() == [0, 0, 0]
    assert warped(np.zeros((1, 5))).tolist() == [0]


def test_no_path_is_cheaper() -> None:
    rng = np.random.default_rng(0)
    for rows, frames in product((2, 3, 4), (2, 5)):
        costs = rng.standard_normal((rows, frames))
        cheapest = min(cost for cost, _ in paths(costs, 0, 0))
        assert [entered for cost, entered in paths(costs, 0, 0) if cost == cheapest] == [warped(costs).tolist()]


def paths(costs: np.ndarray, row: int, frame: int) -> list[tuple[float, list[int]]]:
    """Every path from a cell to the last corner: what it costs, and the frame at which it enters each row."""
    if (row + 1, frame + 1) == costs.shape:
        return [(costs[row, frame], [frame])]
    found = []
    for down, right in ((1, 0), (0, 1), (1, 1)):
        if row + down < len(costs) and frame + right < costs.shape[1]:
            for cost, entered in paths(costs, row + down, frame + right):
                found.append((costs[row, frame] + cost, [frame, *entered] if down else [frame, *entered[1:]]))
    return found


def test_a_token_lies_where_the_step_that_predicts_it_looks() -> None:
    edges = [0, 10, 30, 44, 60]  # of three tokens and the end
    weights = np.full((3 + 1, HEADS, 60), 1e-4)
    for step, (first, last) in enumerate(pairwise(edges)):
        weights[step, :, first:last] = 1 / (last - first)
    weights[:, :, 20] = 0.5  # a frame that every step looks at, and a click that one does, say nothing
    weights[0, :, 50] = 1
    assert attention_align(weights).tolist() == [[0, 10], [10, 30], [30, 44]]


def test_nothing_said_or_heard_takes_no_time() -> None:
    assert attention_align(np.ones((1, HEADS, 9))).shape == (0, 2)
    assert attention_align(np.ones((4, HEADS, 0))).tolist() == [[0, 0]] * 3
    assert attention_align(np.ones((4, HEADS, 1))).tolist() == [[0, 0]] * 3


def test_smoothing_keeps_steps_and_drops_clicks() -> None:
    values = np.repeat([0.0, 1.0], 10)
    clicks = values.copy()
    clicks[[4, 15]] = 7
    np.testing.assert_array_equal(smoothed(clicks), values)
    few = np.arange(MEDIAN_FRAMES // 2, dtype=float)
    np.testing.assert_array_equal(smoothed(few), few)
