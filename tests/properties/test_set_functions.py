"""Properties of the set functions on vectors, for any data."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from harmonia.maths.decorrelation import correlation_energy, inverse_participation, moment_energy
from harmonia.maths.decorrelation_covariance import CovarianceClimb, ParticipationClimb
from harmonia.maths.decorrelation_per_set import PerSetClimb
from harmonia.maths.decorrelation_pool_unit import PoolUnitClimb, set_energies
from harmonia.maths.equal_rows import count_duplicates
from harmonia.maths.facility_location import FacilityLocationClimb
from harmonia.maths.log_det import LogDetClimb
from harmonia.maths.neighbour_coverage import NeighbourCoverageClimb, nearest_neighbours
from harmonia.maths.pairwise_similarity import pairwise_diversity
from harmonia.maths.scaled_rows import column_moments
from harmonia.maths.spectrum import Scatter, effective_rank, eigenvalues, participation_ratio

numbers = st.floats(-8, 8, width=32).map(lambda x: round(x, 3))
shapes = st.tuples(st.integers(4, 14), st.integers(2, 6))
matrices = npst.arrays(np.float64, shapes, elements=numbers)


def unit(X):
    norms = np.linalg.norm(X, axis=1)
    assume((norms > 0.05).all())
    return X / norms[:, None]


@given(matrices, st.integers(1, 9))
def test_scatter_and_moments_do_not_depend_on_blocks(X, block):
    assert np.allclose(Scatter.of(X, block).covariance(), np.cov(X.T), atol=1e-9)
    mean, variance = column_moments(X, block)
    assert np.allclose(mean, X.mean(axis=0)) and np.allclose(variance, X.var(axis=0), atol=1e-9)


@given(matrices)
def test_ranks_are_ordered_and_bounded(X):
    spectrum = eigenvalues(Scatter.of(X).covariance())
    assume(spectrum.max() > 1e-3)
    rank = np.count_nonzero(spectrum > 1e-12)
    assert 1 - 1e-9 <= participation_ratio(spectrum) <= effective_rank(spectrum) + 1e-9 <= rank + 1e-3


@given(matrices)
def test_moment_energy_lies_between_its_bounds(X):
    n, d = X.shape
    assert n * n / min(n, d) - 1e-9 <= moment_energy(unit(X)) <= n * n + 1e-9


@given(matrices)
def test_correlation_energy_lies_between_zero_and_rank_one(X):
    d = X.shape[1]
    assert -1e-9 <= correlation_energy(X) <= d * (d - 1) + 1e-9


@given(matrices)
def test_inverse_participation_lies_between_one_over_rank_and_one(X):
    n, d = X.shape
    assert 1 / min(n - 1, d) - 1e-9 <= inverse_participation(X) <= 1 + 1e-9


@given(matrices)
def test_pairwise_diversity_is_at_most_that_of_a_simplex(X):
    n = len(X)
    assert -1e-9 <= pairwise_diversity(unit(X)) <= n / (n - 1) + 1e-9


@settings(deadline=None)
@given(matrices, st.randoms(use_true_random=False), st.booleans())
def test_per_set_form_equals_recomputation(X, random, dense):
    order = random.sample(range(len(X)), 4)
    climb = PerSetClimb(X, rank_limit=0 if dense else None)
    for i, row in enumerate(order):
        others = np.setdiff1d(np.arange(len(X)), order[:i])
        now = correlation_energy(X[order[:i]]) if i else 0.0
        pairs = X.shape[1] * (X.shape[1] - 1)
        slow = [correlation_energy(X[[*order[:i], j]]) for j in others]
        # columns that nearly vanish in a set lose digits in the mean, whichever form is taken
        assert np.allclose(now - climb.gains(others) * pairs, slow, rtol=1e-6, atol=1e-5)
        climb.add(row)


@settings(deadline=None)
@given(matrices, st.randoms(use_true_random=False))
def test_covariance_forms_equal_recomputation(X, random):
    X = X - X.mean(axis=0)
    order = random.sample(range(len(X)), 4)
    raw, free = CovarianceClimb(X), ParticipationClimb(X)
    for row in order:
        raw.add(row)
        free.add(row)
    others = np.setdiff1d(np.arange(len(X)), order)
    assume(len(others) > 0 and np.trace(np.cov(X[order].T)) > 1e-2)
    C = [np.cov(X[[*order, j]].T) for j in others]
    before = np.cov(X[order].T)
    assert np.allclose(raw.gains(others), [(before**2).sum() - (c**2).sum() for c in C], atol=1e-7)
    assert np.allclose(
        free.gains(others),
        [(before**2).sum() / np.trace(before) ** 2 - (c**2).sum() / np.trace(c) ** 2 for c in C],
        atol=1e-7,
    )


@settings(deadline=None)
@pytest.mark.parametrize(
    "make",
    [
        PoolUnitClimb,
        FacilityLocationClimb,
        LogDetClimb,
        lambda Z: LogDetClimb(Z, 0.01),
        lambda Z: NeighbourCoverageClimb(*nearest_neighbours(Z, 3)),
    ],
)
@given(matrices, st.randoms(use_true_random=False))
def test_gains_never_grow(make, X, random):
    Z = unit(X)
    climb = make(Z)
    assert climb.diminishing
    open_rows, last = np.ones(len(Z), bool), climb.gains().copy()
    for row in random.sample(range(len(Z)), len(Z) // 2):
        climb.add(row)
        open_rows[row] = False
        gains = climb.gains().copy()
        assert (gains <= last + 1e-9)[open_rows].all()
        last = gains


@settings(deadline=None)
@given(matrices, st.randoms(use_true_random=False))
def test_stamps_do_not_show(X, random):
    U = unit(X)
    some, every = PoolUnitClimb(U, block=3), PoolUnitClimb(U)
    for row in random.sample(range(len(U)), len(U)):
        some.add(row)
        every.add(row)
        rows = np.array(random.sample(range(len(U)), random.randint(1, len(U))))
        assert np.allclose(some.gains(rows), every.gains()[rows], atol=1e-9)
    assert np.allclose(-every.gains(), 2 * ((U @ U.T) ** 2).sum(axis=1) + 1)


@settings(deadline=None)
@given(matrices, st.randoms(use_true_random=False))
def test_energies_of_sets_equal_the_definition(X, random):
    U = unit(X)
    k = random.randint(1, len(U))
    sets = np.array([random.sample(range(len(U)), k) for _ in range(5)])
    assert np.allclose(set_energies(U, sets), [moment_energy(U[s]) for s in sets])


@given(npst.arrays(np.float32, shapes, elements=st.sampled_from([0.0, -0.0, 1.0, 2.0])))
def test_duplicates_are_those_of_a_sort(X):
    assert count_duplicates(X) == len(X) - len(np.unique(X, axis=0))
