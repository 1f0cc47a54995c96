"""Many shards read as one matrix: every slice and every list of rows equals that of the joined array."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harmonia.maths.rows import Rows, blocks

sizes = st.lists(st.integers(0, 5), min_size=1, max_size=8)
bounds = st.one_of(st.none(), st.integers(-50, 50))


def made(lengths):
    whole = np.arange(3 * sum(lengths), dtype=np.float16).reshape(-1, 3)
    return whole, Rows(np.split(whole, np.cumsum(lengths)[:-1]))


@given(sizes, bounds, bounds, st.sampled_from([None, 1, 2, -1, 3]))
def test_slices(lengths, start, stop, step):
    whole, rows = made(lengths)
    assert np.array_equal(rows[slice(start, stop, step)], whole[slice(start, stop, step)])


@given(sizes, st.randoms(use_true_random=False))
def test_rows_in_any_order_and_repeated(lengths, random):
    whole, rows = made(lengths)
    index = np.array([random.randrange(len(whole)) for _ in range(12)] if len(whole) else [], np.int64)
    assert np.array_equal(rows[index], whole[index])


@given(sizes, st.integers(1, 9))
def test_blocks_cover_all_in_order(lengths, size):
    whole, rows = made(lengths)
    found = [block for _, block in blocks(rows, size, np.float64)]
    assert np.array_equal(np.concatenate([np.empty((0, 3)), *found]), whole)


def test_reading_a_slice_does_not_visit_every_shard():
    class Counted(np.ndarray):
        visits = 0

        def __getitem__(self, key):
            Counted.visits += 1
            return np.asarray(super().__getitem__(key))

    rows = Rows([np.zeros((2, 3)).view(Counted) for _ in range(1000)])
    rows[1001:1003]
    assert Counted.visits == 2
