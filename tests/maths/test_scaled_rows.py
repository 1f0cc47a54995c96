"""Rows scaled as they are read, and the two passes that gather their statistics."""

import numpy as np
import pytest

from harmonia.maths.equal_rows import count_duplicates
from harmonia.maths.rows import Rows
from harmonia.maths.scaled_rows import ScaledRows, column_moments, first_not_finite, resident, row_norms


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("block", [1, 13, 1000])
def test_moments_equal_numpy_whatever_the_block(rng, block):
    X = rng.normal(size=(200, 5)) * [1, 1e-3, 50, 1, 0] + [0, 1e3, -7, 1e6, 4]
    mean, variance = column_moments(X, block)
    np.testing.assert_allclose(mean, X.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(variance, X.var(axis=0), rtol=1e-7, atol=1e-20)


def test_moments_of_float16_are_gathered_in_float64(rng):
    X = (rng.normal(size=(50_000, 3)) + 100).astype(np.float16)
    mean, variance = column_moments(X)
    np.testing.assert_allclose(mean, X.astype(np.float64).mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(variance, X.astype(np.float64).var(axis=0), rtol=1e-10)


def test_moments_show_what_is_not_finite(rng):
    X = rng.normal(size=(30, 3))
    X[17, 1], X[20, 2] = np.nan, np.inf
    mean, _ = column_moments(X, 8)
    assert np.isfinite(mean).tolist() == [True, False, False]
    assert first_not_finite(X, 8) == 17
    assert first_not_finite(X[:17]) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scaled_rows_are_the_formula_by_slice_and_by_index(rng, dtype):
    X, mean, deviation = rng.normal(size=(20, 4)), rng.normal(size=4), rng.uniform(1, 2, 4)
    weights = rng.uniform(1, 2, 20)
    rows = ScaledRows(X, mean, deviation, weights, dtype)
    expected = (X - mean) / deviation * weights[:, None]
    index = np.array([3, 19, 3, 0])
    for some in (slice(2, 9), slice(None), index):
        assert rows[some].dtype == dtype
        np.testing.assert_allclose(rows[some], expected[some], rtol=1e-5)
    np.testing.assert_allclose(rows.in_type(np.float64)[:], expected, rtol=1e-12)


def test_norms_and_unit_rows_over_several_shards(rng):
    X = rng.normal(size=(50, 6)).astype(np.float16)
    shards = Rows([X[:20], X[20:21], X[21:]])
    norms = row_norms(shards, 7)
    np.testing.assert_allclose(norms, np.linalg.norm(X.astype(float), axis=1), rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(ScaledRows(shards, weights=1 / norms)[:], axis=1), 1, rtol=1e-6)


def test_reading_does_not_change_the_source(rng):
    X = rng.normal(size=(5, 3))
    before = X.copy()
    ScaledRows(X, X.mean(axis=0), dtype=np.float64)[:]
    np.testing.assert_array_equal(X, before)


def test_resident_reads_small_matrices_only(rng):
    rows = ScaledRows(rng.normal(size=(10, 4)))
    assert isinstance(resident(rows), np.ndarray)
    assert resident(rows, 159) is rows


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
def test_duplicates_are_counted_once_each(rng, dtype):
    X = (rng.normal(size=(400, 6)) * 100).astype(dtype)
    unique = len(np.unique(X, axis=0))
    X = np.concatenate([X, X[:30], X[:5], X[7:8]])
    assert count_duplicates(X, 64) == len(X) - unique


def test_rows_that_differ_in_one_bit_or_in_order_are_different():
    x = np.array([1.0, 2.0, 3.0])
    assert count_duplicates(np.array([x, x[::-1], np.nextafter(x, 9), np.zeros(3)])) == 0


def test_wide_rows_are_centred_before_they_are_rounded(rng):
    gaps = rng.normal(size=(30, 4))
    X = gaps + 1e8
    np.testing.assert_allclose(ScaledRows(X, np.full(4, 1e8), dtype=np.float32)[:], X - 1e8, rtol=1e-6)
    integers = np.array([[2**24 + 1], [2**24 + 3]])
    assert ScaledRows(integers, np.array([2.0**24]), dtype=np.float32)[:].tolist() == [[1], [3]]
