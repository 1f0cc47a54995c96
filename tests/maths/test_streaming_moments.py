# ruff: noqa: E402
import pytest

torch = pytest.importorskip("torch")

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harmonia.maths.streaming_moments import PIECE, StreamingMoments


def moments_of(*pieces):
    moments = StreamingMoments()
    for piece in pieces:
        moments.add(torch.as_tensor(piece))
    return moments


def test_by_hand():
    moments = moments_of([[1.0, 0, 1], [0, 1, 2], [1, 1, 3], [2, 1, 5]])
    assert moments.count == 4
    assert moments.mean().tolist() == [1, 0.75, 2.75]
    assert moments.gram() == pytest.approx(np.array([[6, 3, 14], [3, 3, 10], [14, 10, 39]]), abs=1e-5)


def test_one_piece_or_a_hundred_in_any_order():
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(1000, 7)) * 10.0 ** np.arange(7) + 100
    pieces = np.array_split(rows, 100)
    whole = moments_of(rows)
    parts = moments_of(*(pieces[i] for i in draw.permutation(100)))
    assert whole.count == parts.count == 1000
    np.testing.assert_allclose(parts.gram(), whole.gram(), rtol=1e-12)
    np.testing.assert_allclose(whole.gram(), rows.T @ rows, rtol=1e-12)
    np.testing.assert_allclose(parts.mean(), rows.mean(axis=0), rtol=1e-12)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.integers(0, 99))
def test_empty_pieces_are_nothing(lengths, seed):
    rows = np.random.default_rng(seed).normal(size=(sum(lengths) + 1, 3))
    moments = moments_of(*np.split(rows, np.cumsum(lengths)))
    np.testing.assert_allclose(moments.gram(), rows.T @ rows, atol=1e-12)
    assert (moments.gram() == moments.gram().T).all()


def test_float32_rows_far_from_zero_keep_their_variance():
    # about zero, float32 products of this size would be exact to 0.6 only, and the variances are 1
    draw = np.random.default_rng(0)
    rows = (draw.normal(size=(PIECE + 500, 4)) + 3000).astype(np.float32)
    moments = moments_of(*np.array_split(rows, 7))
    mean, gram = moments.mean(), moments.gram()
    centred = gram - moments.count * np.outer(mean, mean)
    exact = rows.astype(np.float64) - rows.astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(centred, exact.T @ exact, atol=2e-5 * len(rows))


def test_the_same_numbers_give_the_same_bits():
    rows = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32)
    first, second = (moments_of(*np.array_split(rows, 9)).gram() for _ in range(2))
    assert first.tobytes() == second.tobytes()
