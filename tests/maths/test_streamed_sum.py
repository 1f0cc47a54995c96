import math

import numpy as np
import pytest

from harmonia.maths.streamed_sum import BLOCK, StreamedGram, StreamedSum


@pytest.mark.parametrize("length", [1, 100, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 10**6])
def test_the_same_bits_whatever_the_pieces(length):
    rows = np.random.default_rng(0).standard_normal((3, 3 * BLOCK + 77))
    whole, parts = StreamedSum(3), StreamedSum(3)
    whole.add(rows)
    for start in range(0, rows.shape[1], length):
        parts.add(rows[:, start : start + length])
    assert (whole.total == parts.total).all()
    np.testing.assert_allclose(whole.total, [math.fsum(row) for row in rows], rtol=1e-13)


def test_nothing_is_zero():
    assert StreamedSum(2).total.tolist() == [0, 0]


@pytest.mark.parametrize("length", [7, 1000, 5000])
def test_gram(length):
    rows = np.random.default_rng(1).standard_normal((4, 9000)).astype(np.float32)
    whole, parts = StreamedGram(4), StreamedGram(4)
    whole.add(rows)
    for start in range(0, 9000, length):
        parts.add(rows[:, start : start + length])
    assert (whole.total == parts.total).all() and (whole.total == whole.total.T).all()
    exact = rows.astype(np.float64) @ rows.T.astype(np.float64)
    np.testing.assert_allclose(whole.total, exact, rtol=1e-12, atol=1e-10)
