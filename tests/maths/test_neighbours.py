"""Votes of nearest neighbours: the worked example, brute force, and independence from block sizes."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmonia.maths import neighbours
from harmonia.maths.neighbours import NearestRows, neighbour_votes, tiles, unit_rows

POOL = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 0.0], [2.0, 1.0]])
TARGETS = np.array([[1.0, 0.1], [0.2, 1.0], [1.0, 0.9]])


def test_worked_example():
    votes = neighbour_votes(TARGETS, [POOL], 2)
    assert [set(row) for row in votes.neighbours.tolist()] == [{0, 4}, {1, 2}, {2, 4}]
    assert votes.counts.tolist() == [1, 1, 2, 0, 2]
    np.testing.assert_allclose(votes.means, (unit_rows(TARGETS) @ unit_rows(POOL).T).mean(axis=0), atol=1e-15)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 5), st.integers(1, 9), st.data())
def test_equals_a_full_sort_whatever_the_blocks(seed, n, queries, block, data):
    k = data.draw(st.integers(1, n))
    random = np.random.default_rng(seed)
    # few distinct values, so that there are ties to break
    similarities = random.integers(0, 4, size=(queries, n)).astype(float)
    best = NearestRows(queries, k)
    for start in range(0, n, block):
        best.update(similarities[:, start : start + block])
    expected = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    assert np.array_equal(best.rows(), expected)


@pytest.mark.parametrize("block", [1, 3, 7, 100])
def test_block_size_changes_nothing(block, monkeypatch):
    monkeypatch.setattr(neighbours, "TILE", 16)
    random = np.random.default_rng(0)
    pool, targets = random.normal(size=(90, 5)), random.normal(size=(6, 5))
    whole = neighbour_votes(targets, [pool], 7, np.float32)
    cut = neighbour_votes(targets, (pool[i : i + block] for i in range(0, 90, block)), 7, np.float32)
    assert np.array_equal(whole.neighbours, cut.neighbours)
    assert np.array_equal(whole.means, cut.means)
    assert whole.counts.sum() == 6 * 7


def test_all_neighbours_make_all_votes_equal():
    votes = neighbour_votes(TARGETS, [POOL], 5)
    assert votes.counts.tolist() == [3] * 5


def test_equal_rows_go_to_the_first():
    pool = np.repeat([[1.0, 0.0]], 4, axis=0)
    assert neighbour_votes(np.array([[1.0, 0.0]]), [pool], 2).neighbours.tolist() == [[0, 1]]


def test_too_many_neighbours():
    with pytest.raises(ValueError, match="k = 6 neighbours of 5 rows"):
        neighbour_votes(TARGETS, [POOL], 6)


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 6))
def test_tiles_keep_the_rows(sizes, rows):
    x = np.arange(sum(sizes))[:, None]
    starts = np.cumsum([0, *sizes])
    found = list(tiles((x[a:b] for a, b in pairwise(starts)), rows))
    assert np.array_equal(np.concatenate([x[:0], *found]), x)
    assert all(len(tile) == rows for tile in found[:-1])
