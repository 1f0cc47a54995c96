"""The four measures of correlation by definition: closed forms, bounds and invariances."""

import numpy as np
import pytest

from harmonia.maths.decorrelation import correlation_energy, covariance_energy, inverse_participation, moment_energy
from harmonia.maths.spectrum import Scatter, eigen_uniformity, eigenvalues, participation_ratio

A = np.array([[0, 0, 0], [1, 2, 1], [2, 1, 5], [3, 3, 2]], float)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize(("rows", "energy"), [(4, 2.02285712), (3, 2.35714283), (2, 5.99999982), (1, 0.0)])
def test_correlation_energy_closed_forms(rows, energy):
    assert correlation_energy(A[:rows]) == pytest.approx(energy, abs=5e-9)


def test_correlation_energy_is_twice_the_squared_correlations_of_the_example():
    correlations = np.corrcoef(A.T)[np.triu_indices(3, 1)]
    np.testing.assert_allclose(correlations, [0.8, 0.5976143, 0.1195229], atol=5e-8)
    assert correlation_energy(A) == pytest.approx(2 * (correlations**2).sum(), abs=1e-7)


@pytest.mark.parametrize("shape", [(5, 9), (40, 9)])
def test_correlation_energy_is_the_eigen_uniformity_of_the_correlation(rng, shape):
    X = rng.normal(size=shape)
    uniformity = eigen_uniformity(eigenvalues(Scatter.of(X).correlation()))
    assert correlation_energy(X) == pytest.approx(uniformity, rel=1e-6)


def test_correlation_energy_ignores_shift_and_scale_of_columns_but_not_rotation(rng):
    X = rng.normal(size=(6, 5)) @ rng.normal(size=(5, 5))
    energy = correlation_energy(X)
    assert correlation_energy(X * [2, 5, -3, 10, 1] + 7) == pytest.approx(energy, rel=1e-6)
    Q = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    assert abs(correlation_energy(X @ Q) / energy - 1) > 0.01


def test_any_distinct_pair_has_the_same_correlation_energy_and_equal_rows_have_none(rng):
    for _ in range(5):
        X = rng.normal(size=(2, 7))
        assert correlation_energy(X) == pytest.approx(42, rel=1e-3)
    assert correlation_energy(np.repeat(X[:1], 3, axis=0)) == 0


def test_a_column_that_is_constant_in_the_set_contributes_nothing(rng):
    X = rng.normal(size=(8, 4))
    assert correlation_energy(np.column_stack([X, np.full(8, 2.0)])) == pytest.approx(correlation_energy(X), rel=1e-12)


def test_moment_energy_closed_forms():
    U = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]])
    assert [moment_energy(U[:n]) for n in (1, 2, 3, 4)] == pytest.approx([1, 2, 5, 8.72])


@pytest.mark.parametrize("shape", [(3, 7), (7, 3)])
def test_moment_energy_is_the_sum_of_squared_cosines(rng, shape):
    U = rng.normal(size=shape)
    slow = sum((U[i] @ U[j]) ** 2 for i in range(shape[0]) for j in range(shape[0]))
    assert moment_energy(U) == pytest.approx(slow, rel=1e-12)


def test_moment_energy_reaches_its_lower_bound_when_isotropic_or_orthogonal(rng):
    Q = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert moment_energy(Q[:4]) == pytest.approx(4)
    assert moment_energy(np.concatenate([Q, -Q, Q])) == pytest.approx(18**2 / 6)
    U = rng.normal(size=(18, 6))
    U /= np.linalg.norm(U, axis=1)[:, None]
    assert 18**2 / 6 < moment_energy(U) < 18**2


def test_moment_energy_ignores_rotation(rng):
    U, Q = rng.normal(size=(9, 5)), np.linalg.qr(rng.normal(size=(5, 5)))[0]
    assert moment_energy(U @ Q) == pytest.approx(moment_energy(U), rel=1e-12)


def test_covariance_and_participation_by_numpy(rng):
    X = rng.normal(size=(12, 5)) @ rng.normal(size=(5, 5))
    C = np.cov(X.T)
    assert covariance_energy(X) == pytest.approx((C**2).sum(), rel=1e-12)
    assert inverse_participation(X) == pytest.approx((C**2).sum() / np.trace(C) ** 2, rel=1e-12)
    assert inverse_participation(X) == pytest.approx(1 / participation_ratio(eigenvalues(C)), rel=1e-12)
    assert inverse_participation(3 * X + 1) == pytest.approx(inverse_participation(X), rel=1e-10)


def test_participation_of_two_rows_is_one(rng):
    for _ in range(5):
        assert inverse_participation(rng.normal(size=(2, 6))) == pytest.approx(1)
    assert inverse_participation(np.ones((2, 6))) == 1


def test_one_row_has_energy_zero():
    assert covariance_energy(A[:1]) == inverse_participation(A[:1]) == correlation_energy(A[:1]) == 0
