"""Spectra: closed forms, invariances, and the streamed scatter against numpy."""

import numpy as np
import pytest

from harmonia.maths.spectrum import (
    Scatter,
    dominance,
    effective_rank,
    eigen_uniformity,
    eigenvalues,
    participation_ratio,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("block", [1, 7, 100, 1000])
def test_streamed_scatter_is_the_covariance_whatever_the_block(rng, block):
    X = rng.normal(size=(300, 5)) * [1, 10, 0.1, 3, 1] + 1e4
    scatter = Scatter.of(X, block)
    np.testing.assert_allclose(scatter.mean, X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scatter.covariance(), np.cov(X.T), rtol=1e-8)
    np.testing.assert_allclose(scatter.correlation(), np.corrcoef(X.T), rtol=1e-8, atol=1e-9)


def test_merging_parts_equals_adding_all(rng):
    X = rng.normal(size=(50, 3))
    parts = Scatter(3).add(X[:20]).merge(Scatter(3)).merge(Scatter(3).add(X[20:]))
    np.testing.assert_allclose(parts.covariance(), np.cov(X.T), rtol=1e-12)
    assert parts.n == 50


def test_scatter_of_float16_is_accumulated_in_float64(rng):
    X = rng.normal(size=(20000, 4)).astype(np.float16)
    np.testing.assert_allclose(Scatter.of(X).covariance(), np.cov(X.T.astype(np.float64)), rtol=1e-10, atol=1e-12)


def test_constant_column_has_no_correlation(rng):
    X = np.column_stack([rng.normal(size=10), np.full(10, 3.0)])
    np.testing.assert_allclose(Scatter.of(X).correlation(), [[1, 0], [0, 0]])


def test_fewer_than_two_rows_have_zero_covariance():
    assert not Scatter(2).covariance().any()
    assert not Scatter(2).add(np.ones((1, 2))).covariance().any()


@pytest.mark.parametrize("r", [1, 3, 8])
def test_flat_spectrum_of_rank_r(r):
    spectrum = np.repeat([5.0, 0.0], [r, 8 - r])
    assert effective_rank(spectrum) == pytest.approx(r)
    assert participation_ratio(spectrum) == pytest.approx(r)
    assert dominance(spectrum, 1) == pytest.approx(1 / r)
    assert eigen_uniformity(spectrum) == pytest.approx(8 * (8 / r - 1))


def test_effective_rank_closed_form():
    # entropy of (1/2, 1/4, 1/4) is 1.5 log 2
    assert effective_rank(np.array([2.0, 1.0, 1.0])) == pytest.approx(2**1.5)


def test_uniformity_is_the_frobenius_identity_and_rotations_do_not_matter(rng):
    X = rng.normal(size=(40, 6)) @ rng.normal(size=(6, 6))
    R = Scatter.of(X).correlation()
    spectrum = eigenvalues(R)
    assert eigen_uniformity(spectrum) == pytest.approx((R**2).sum() - 6)
    assert participation_ratio(spectrum) == pytest.approx(36 / (R**2).sum())
    Q = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    np.testing.assert_allclose(
        eigenvalues(Scatter.of(X @ Q).covariance()), eigenvalues(Scatter.of(X).covariance()), rtol=1e-9
    )


def test_dominance_grows_to_one(rng):
    spectrum = rng.exponential(size=9)
    shares = [dominance(spectrum, t) for t in range(10)]
    assert shares[0] == 0 and shares[9] == pytest.approx(1)
    assert (np.diff(shares) > 0).all()
    assert (np.diff(shares, 2) <= 1e-12).all()


def test_zero_spectrum_has_no_rank():
    zero = np.zeros(4)
    assert effective_rank(zero) == participation_ratio(zero) == dominance(zero, 2) == eigen_uniformity(zero) == 0
