"""Greedy states of decorrelation against recomputation of every candidate, with the published examples."""

import numpy as np
import pytest

from harmonia.maths.decorrelation import correlation_energy, covariance_energy, inverse_participation, moment_energy
from harmonia.maths.decorrelation_covariance import CovarianceClimb, ParticipationClimb
from harmonia.maths.decorrelation_per_set import PerSetClimb
from harmonia.maths.decorrelation_pool_unit import (
    MomentRelaxation,
    PoolUnitClimb,
    set_energies,
    weighted_moment,
)
from harmonia.maths.greedy import Lazy, Scan, ascend
from harmonia.maths.ledger import Ledger
from harmonia.maths.scaled_rows import ScaledRows


@pytest.fixture
def rng():
    return np.random.default_rng(2)


def picks(climb, k, first=None, search=Scan):
    ledger = Ledger(np.ones(climb.size, bool), k)
    found = ascend(climb, ledger, search(climb, ledger), first=first)
    return found.rows.tolist()


def slow_picks(value, n, k, first):
    """Greedy that recomputes the value of every candidate set; value is to be minimised."""
    chosen = [first]
    while len(chosen) < k:
        values = [np.inf if j in chosen else value([*chosen, j]) for j in range(n)]
        chosen.append(int(np.argmin(values)))
    return chosen


def unit(X):
    return X / np.linalg.norm(X, axis=1)[:, None]


# correlation of the set


@pytest.mark.parametrize("rank_limit", [None, 0, 10])
def test_per_set_gain_of_every_candidate_equals_recomputation(rng, rank_limit):
    X = rng.normal(size=(30, 8)) @ rng.normal(size=(8, 8)) + 3
    climb, chosen, pairs = PerSetClimb(X, rank_limit=rank_limit), [], 8 * 7
    for row in [4, 9, 2, 17, 25, 11, 0, 29, 13]:
        now = correlation_energy(X[chosen]) if chosen else 0.0
        slow = np.array([correlation_energy(X[[*chosen, j]]) for j in range(30)])
        others = np.setdiff1d(np.arange(30), chosen)
        np.testing.assert_allclose((now - climb.gains() * pairs)[others], slow[others], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(climb.gains(others), climb.gains()[others], rtol=1e-12, atol=1e-13)
        climb.add(row)
        chosen.append(row)


def test_rank_and_dense_path_pick_the_same(rng):
    X = rng.normal(size=(200, 20))
    rank, dense, switching = (picks(PerSetClimb(X, rank_limit=limit), 15, 3) for limit in (10**6, 0, None))
    assert rank == dense == switching == slow_picks(lambda S: correlation_energy(X[S]), 200, 15, 3)


def test_per_set_gains_add_up_to_the_value(rng):
    X = rng.normal(size=(50, 6))
    ledger = Ledger(np.ones(50, bool), 10)
    climb = PerSetClimb(X)
    found = ascend(climb, ledger, Scan(climb, ledger), first=8)
    assert found.gains.sum() == pytest.approx(-correlation_energy(X[found.rows]) / 30, rel=1e-12)


def test_gains_add_up_even_where_pairs_are_not_worth_the_same():
    """With a dead column a pair is worth less than d (d - 1); farthest takes it for that and later gains settle."""
    X = np.random.default_rng(0).normal(size=(30, 5)) * [1, 1, 1, 1, 0]
    climb, ledger = PerSetClimb(X, second="farthest"), Ledger(np.ones(30, bool), 8)
    found = ascend(climb, ledger, Scan(climb, ledger), first=0)
    assert found.gains[1] == pytest.approx(-1)
    assert correlation_energy(X[found.rows[:2]]) == pytest.approx(12, rel=1e-6)
    assert found.gains.sum() == pytest.approx(-correlation_energy(X[found.rows]) / 20, rel=1e-12)


def test_official_second_pick_is_the_duplicate_of_the_first(rng):
    X = rng.normal(size=(100, 16))
    X[77] = X[5]
    assert picks(PerSetClimb(X), 2, 5) == [5, 77]
    assert correlation_energy(X[[5, 77]]) == 0


def test_second_farthest_takes_the_farthest(rng):
    X = rng.normal(size=(100, 16))
    X[77] = X[5]
    climb = PerSetClimb(X, second="farthest")
    farthest = int(np.argmax(((X - X[5]) ** 2).sum(axis=1)))
    chosen = picks(climb, 6, 5)
    assert chosen[:2] == [5, farthest]
    later = slow_picks(lambda S: correlation_energy(X[S]) if len(S) > 2 else -((X[S[1]] - X[5]) ** 2).sum(), 100, 6, 5)
    assert chosen == later


def test_float32_second_pick_is_resolved_in_float64(rng):
    X = rng.normal(size=(300, 64)).astype(np.float32)
    assert picks(PerSetClimb(X), 2, 0) == picks(PerSetClimb(X.astype(float)), 2, 0)


def test_float32_reaches_the_same_value(rng):
    X = rng.normal(size=(256, 96))
    values = [correlation_energy(X[picks(PerSetClimb(X.astype(dtype)), 16, 0)]) for dtype in (np.float32, np.float64)]
    assert values[0] == pytest.approx(values[1], rel=1e-3)
    gains = [PerSetClimb(X.astype(dtype)) for dtype in (np.float32, np.float64)]
    for climb in gains:
        for row in range(16):
            climb.add(row)
    energies = [correlation_energy(X[:16]) - 96 * 95 * climb.gains()[16:] for climb in gains]
    np.testing.assert_allclose(*energies, rtol=1e-4)


# second moment of unit rows


def test_pool_unit_example():
    U = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]])
    climb = PoolUnitClimb(U)
    ledger = Ledger(np.ones(4, bool), 4)
    found = ascend(climb, ledger, Scan(climb, ledger), first=0)
    assert found.rows.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(-np.cumsum(found.gains), [1, 2, 5, 8.72], rtol=1e-12)
    assert found.gains[2] == pytest.approx(-3)


def test_pool_unit_third_pick_is_a_tie_that_the_lowest_row_wins():
    U = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]])
    climb = PoolUnitClimb(U)
    climb.add(0)
    climb.add(1)
    assert -climb.gains()[[2, 3]] == pytest.approx([3, 3])


def test_orthonormal_rows_cost_one_each(rng):
    Q = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    climb = PoolUnitClimb(Q)
    ledger = Ledger(np.ones(8, bool), 8)
    np.testing.assert_allclose(ascend(climb, ledger, Scan(climb, ledger)).gains, -1, rtol=1e-12)


def test_pool_unit_picks_equal_recomputation_and_scale_only_scales(rng):
    U = unit(rng.normal(size=(60, 7)))
    slow = slow_picks(lambda S: moment_energy(U[S]), 60, 20, 11)
    assert picks(PoolUnitClimb(U), 20, 11) == picks(PoolUnitClimb(U, scale=1 / 400), 20, 11) == slow


def test_pool_unit_costs_never_fall_and_lazy_picks_equal_the_scan(rng):
    U = unit(rng.normal(size=(3000, 64)) @ np.diag(np.arange(1, 65) ** -0.5))
    climb, last = PoolUnitClimb(U), np.zeros(3000)
    for row in range(30):
        climb.add(row)
        assert (climb.gains() <= last + 1e-12).all()
        last = climb.gains().copy()
    lazy = PoolUnitClimb(U)
    ledger = Ledger(np.ones(3000, bool), 200)
    search = Lazy(lazy, ledger)
    assert ascend(lazy, ledger, search, first=0).rows.tolist() == picks(PoolUnitClimb(U), 200, 0)
    # most rows are never looked at again: 200 scans would be 600,000
    assert search.refreshed < 0.15 * 600_000


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_stale_rows_catch_up_in_any_order(rng, block):
    U = unit(rng.normal(size=(40, 5)))
    lazy, eager = PoolUnitClimb(U, block=block), PoolUnitClimb(U)
    for turn, row in enumerate(rng.permutation(40)[:25]):
        lazy.add(row)
        eager.add(row)
        expected = eager.gains()
        some = rng.choice(40, size=turn % 7 + 1, replace=False)
        np.testing.assert_allclose(lazy.gains(some), expected[some], rtol=1e-12)
    np.testing.assert_allclose(lazy.gains(), eager.gains(), rtol=1e-12)


def test_many_picks_at_once_catch_up_in_pieces(rng):
    U = unit(rng.normal(size=(700, 4)))
    climb = PoolUnitClimb(U)
    for row in range(650):
        climb.add(row)
    np.testing.assert_allclose(climb.gains(), -(2 * ((U @ U[:650].T) ** 2).sum(axis=1) + 1), rtol=1e-12)


def test_pool_unit_streams_a_float16_memory_map(rng, tmp_path):
    stored = np.memmap(tmp_path / "x", np.float16, "w+", shape=(500, 12))
    stored[:] = rng.normal(size=(500, 12)) + 1
    X = np.asarray(stored, np.float64)
    mean = X.mean(axis=0)
    rows = ScaledRows(stored, mean, weights=1 / np.linalg.norm(X - mean, axis=1))
    climb = PoolUnitClimb(rows, block=64)
    assert picks(climb, 30, 4) == picks(PoolUnitClimb(unit(X - mean)), 30, 4)


@pytest.mark.parametrize(("b", "S", "d"), [(30, 10, 50), (30, 25, 4), (2000, 3, 2)])
def test_set_energies_equal_the_definition(rng, b, S, d):
    U = unit(rng.normal(size=(b, d)))
    sets = np.array([rng.choice(b, S, replace=False) for _ in range(9)])
    np.testing.assert_allclose(set_energies(U, sets), [moment_energy(U[s]) for s in sets], rtol=1e-10)


def test_moment_relaxation_agrees_on_sets_and_is_a_concave_quadratic(rng):
    U = unit(rng.normal(size=(40, 6)))
    f = MomentRelaxation(U, 8)
    mask = np.zeros(40)
    mask[:8] = 1
    assert f.value(mask) == pytest.approx(-moment_energy(U[:8]) / 64, rel=1e-12)
    m, p = rng.random(40), rng.normal(size=40)
    np.testing.assert_allclose(weighted_moment(U, m, block=7), U.T @ np.diag(m) @ U, rtol=1e-10, atol=1e-12)
    g, c = f.gradient(m), f.curvature(p)
    assert c > 0
    for t in (1e-3, 0.5, -2.0):
        assert f.value(m + t * p) == pytest.approx(f.value(m) + t * (g @ p) - c * t * t, rel=1e-9)


def test_moment_relaxation_gradient_by_finite_differences(rng):
    U = unit(rng.normal(size=(12, 4)))
    f, m = MomentRelaxation(U, 3), rng.random(12)
    numeric = [(f.value(m + h) - f.value(m - h)) / 2e-5 for h in 1e-5 * np.eye(12)]
    np.testing.assert_allclose(f.gradient(m), numeric, rtol=1e-6)


def test_moment_relaxation_never_takes_an_excluded_row(rng):
    excluded = np.arange(12) == 5
    gradient = MomentRelaxation(unit(rng.normal(size=(12, 4))), 3, excluded).gradient(np.ones(12))
    assert np.flatnonzero(np.isneginf(gradient)).tolist() == [5]


# covariance of the set


def test_raw_covariance_prefers_near_duplicates():
    B = np.array([[0, 0], [1, 0], [0, 3], [2, 2], [0.1, 0.1]])
    assert picks(CovarianceClimb(B - B.mean(axis=0)), 4, 0) == [0, 4, 1, 3]


@pytest.mark.parametrize(
    ("climb_of", "energy"), [(CovarianceClimb, covariance_energy), (ParticipationClimb, inverse_participation)]
)
def test_covariance_gains_equal_recomputation(rng, climb_of, energy):
    X = rng.normal(size=(40, 6)) @ rng.normal(size=(6, 6))
    X -= X.mean(axis=0)
    climb, chosen = climb_of(X), []
    for row in rng.permutation(40)[:15]:
        if len(chosen) != 1 or climb_of is CovarianceClimb:
            slow = np.array([energy(X[[*chosen, j]]) for j in range(40)])
            others = np.setdiff1d(np.arange(40), chosen)
            now = energy(X[chosen]) if chosen else 0.0
            np.testing.assert_allclose(now - climb.gains(others), slow[others], rtol=1e-9, atol=1e-12)
        climb.add(row)
        chosen.append(int(row))


def test_participation_second_pick_is_the_farthest_and_then_brute_force(rng):
    X = rng.normal(size=(80, 5))
    X -= X.mean(axis=0)

    def value(S):
        return inverse_participation(X[S]) if len(S) > 2 else -((X[S[1]] - X[S[0]]) ** 2).sum()

    climb = ParticipationClimb(X)
    climb.add(7)
    np.testing.assert_allclose(np.delete(climb.gains(), 7), -1, atol=2e-6)
    assert picks(ParticipationClimb(X), 10, 7) == slow_picks(value, 80, 10, 7)


def test_participation_does_not_depend_on_scale(rng):
    X = rng.normal(size=(80, 5))
    X -= X.mean(axis=0)
    assert picks(ParticipationClimb(X), 12, 3) == picks(ParticipationClimb(1e3 * X), 12, 3)


def test_equal_rows_are_no_accident_for_participation():
    climb = ParticipationClimb(np.zeros((4, 3)))
    for row in range(3):
        assert np.isfinite(climb.gains()).all()
        climb.add(row)


# all of them


ALL = {
    "per_set": lambda X: PerSetClimb(X, second="farthest"),
    "pool_unit": lambda X: PoolUnitClimb(unit(X)),
    "covariance": CovarianceClimb,
    "participation": ParticipationClimb,
}


@pytest.mark.parametrize("name", ALL)
def test_whole_pool_one_pick_and_permutation(rng, name):
    X = rng.normal(size=(25, 6))
    X -= X.mean(axis=0)
    assert sorted(picks(ALL[name](X), 25, 3)) == list(range(25))
    assert picks(ALL[name](X), 1, 3) == [3]
    order = rng.permutation(25)
    moved = picks(ALL[name](X[order]), 8, int(np.flatnonzero(order == 3)[0]))
    assert [int(order[row]) for row in moved] == picks(ALL[name](X), 8, 3)


def test_pool_unit_ignores_rotation_and_row_scale(rng):
    X = rng.normal(size=(60, 6))
    Q = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    once, turned, scaled = (picks(PoolUnitClimb(unit(Y)), 15, 0) for Y in (X, X @ Q, X * rng.uniform(0.1, 9, (60, 1))))
    assert once == turned == scaled


def test_pool_unit_diversifies_where_official_per_set_stays_in_tight_groups():
    """100 clusters of unequal sizes, rows of length near 1, 128 near-duplicates; 16 picks, six pools.

    Where the official second pick falls into the cluster of the first, the rest stays there, because a tight isotropic
    group is as uncorrelated as any other once it is re-standardised.
    """
    covered, cosines = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        labels = rng.choice(100, 1024, p=rng.dirichlet(np.full(100, 0.3)))
        X = (rng.normal(size=(100, 256))[labels] + 0.6 * rng.normal(size=(1024, 256))) / 16
        copied = rng.integers(0, 896, 128)
        X[896:], labels[896:] = X[copied] + 0.1 / 16 * rng.normal(size=(128, 256)), labels[copied]
        V, first = unit(X), int(rng.integers(1024))
        rows = [
            rng.choice(1024, 16, replace=False),
            picks(PerSetClimb(X), 16, first),
            picks(PerSetClimb(X, second="farthest"), 16, first),
            picks(PoolUnitClimb(unit(X - X.mean(axis=0))), 16, first),
        ]
        covered.append([len(set(labels[r])) for r in rows])
        cosines.append([np.abs(V[r] @ V[r].T - np.eye(16)).max() for r in rows])
    random, official, farthest, recommended = np.mean(covered, axis=0)
    assert official + 4 < random < recommended - 3
    assert recommended == farthest == 16
    random, official, farthest, recommended = np.mean(cosines, axis=0)
    assert recommended < farthest < 0.2 < 0.5 < min(official, random)


# tensors


def test_tensors_give_what_arrays_give(rng):
    torch = pytest.importorskip("torch")
    X = rng.normal(size=(80, 7))
    U = unit(X - X.mean(axis=0))
    assert picks(PoolUnitClimb(torch.from_numpy(U)), 20, 2) == picks(PoolUnitClimb(U), 20, 2)
    for limit in (None, 0):
        for second in ("official", "farthest"):
            tensor = PerSetClimb(torch.from_numpy(X), second=second, rank_limit=limit)
            array = PerSetClimb(X, second=second, rank_limit=limit)
            for row in picks(PerSetClimb(X), 9, 1):
                tensor.add(row)
                array.add(row)
                np.testing.assert_allclose(tensor.gains(), array.gains(), rtol=1e-10, atol=1e-13)
