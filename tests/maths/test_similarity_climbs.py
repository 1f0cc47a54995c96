"""Pairwise similarity, facility location, graph cut, log-determinant and leverage: examples and slow references."""

import itertools

import numpy as np
import pytest

from harmonia.maths.facility_location import FacilityLocationClimb, coverages
from harmonia.maths.graph_cut import GraphCutClimb, graph_cuts
from harmonia.maths.greedy import Lazy, Scan, ascend
from harmonia.maths.ledger import Ledger
from harmonia.maths.leverage import LeverageClimb
from harmonia.maths.log_det import EXHAUSTED, LogDetClimb, log_dets
from harmonia.maths.neighbour_coverage import NeighbourCoverageClimb, nearest_neighbours
from harmonia.maths.pairwise_similarity import PairwiseClimb, PairwiseRelaxation, pairwise_diversity
from harmonia.maths.scaled_rows import ScaledRows

# unit rows with this kernel
K = np.array([[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]])
Z3 = np.linalg.cholesky(K)


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def unit(X):
    return X / np.linalg.norm(X, axis=1)[:, None]


def climbed(climb, k, search=Scan, first=None):
    ledger = Ledger(np.ones(climb.size, bool), k)
    return ascend(climb, ledger, search(climb, ledger), first=first)


def slow_gains(value, n, chosen):
    return np.array([value([*chosen, j]) - value(chosen) for j in range(n)])


# pairwise similarity


@pytest.mark.parametrize(
    ("rows", "value"), [([[1, 0], [0, 1]], 1), ([[1, 0], [1, 0]], 0), ([[1, 0], [-1, 0]], 2), ([[1, 0]], 1)]
)
def test_pairwise_diversity_of_two_rows(rows, value):
    assert pairwise_diversity(np.array(rows, float)) == value


def test_sum_identity_equals_the_double_loop(rng):
    Z = unit(rng.normal(size=(30, 7)))
    loop = sum(Z[i] @ Z[j] for i, j in itertools.permutations(range(30), 2)) / (30 * 29)
    assert pairwise_diversity(Z) == pytest.approx(1 - loop, abs=1e-10)


def test_equal_rows_have_no_diversity():
    assert pairwise_diversity(np.tile(unit(np.array([[1.0, 2, 3]])), (9, 1))) == pytest.approx(0, abs=1e-12)


def test_pairwise_gains_add_up_to_the_value_minus_one(rng):
    Z = unit(rng.normal(size=(40, 5)))
    found = climbed(PairwiseClimb(Z, 12), 12)
    assert found.gains.sum() == pytest.approx(pairwise_diversity(Z[found.rows]) - 1, rel=1e-10)
    climb, chosen = PairwiseClimb(Z, 12), []
    for row in found.rows:
        np.testing.assert_allclose(climb.gains(), -2 * (Z @ Z[chosen].sum(axis=0)) / (12 * 11), atol=1e-13)
        climb.add(row)
        chosen.append(row)


def test_pairwise_relaxation_agrees_on_sets_and_is_a_concave_quadratic(rng):
    Z = unit(rng.normal(size=(30, 5)))
    f, mask = PairwiseRelaxation(Z, 6), np.zeros(30)
    mask[:6] = 1
    assert f.value(mask) == pytest.approx(pairwise_diversity(Z[:6]), rel=1e-12)
    m, p = rng.random(30), rng.normal(size=30)
    g, c = f.gradient(m), f.curvature(p)
    assert c >= 0
    for t in (1e-3, 0.5, -2.0):
        assert f.value(m + t * p) == pytest.approx(f.value(m) + t * (g @ p) - c * t * t, rel=1e-9)


# facility location


def test_facility_location_example():
    for search in (Scan, Lazy):
        found = climbed(FacilityLocationClimb(Z3), 3, search)
        assert found.rows.tolist() == [1, 0, 2]
        np.testing.assert_allclose(found.gains, [2, 0.5, 0.5], rtol=1e-12)


@pytest.mark.parametrize("kernel_bytes", [0, 2**27])
def test_facility_location_gains_equal_the_kernel_definition(rng, kernel_bytes):
    Z = unit(rng.normal(size=(150, 6)))
    S = np.maximum(Z @ Z.T, 0)

    def value(members):
        return S[:, members].max(axis=1).sum() if members else 0.0

    climb, chosen = FacilityLocationClimb(Z, kernel_bytes=kernel_bytes), []
    for row in rng.permutation(150)[:8]:
        np.testing.assert_allclose(climb.gains(), slow_gains(value, 150, chosen), atol=1e-10)
        some = rng.choice(150, 70, replace=False)
        np.testing.assert_allclose(climb.gains(some), climb.gains()[some], rtol=1e-12, atol=1e-12)
        climb.add(row)
        chosen.append(int(row))
    assert coverages(Z, np.array([chosen]))[0] == pytest.approx(value(chosen), rel=1e-12)


def test_lazy_facility_location_equals_the_scan_with_gains_that_never_grow(rng):
    Z = unit(rng.normal(size=(400, 8))).astype(np.float32)
    scan = climbed(FacilityLocationClimb(Z), 60, Scan)
    assert climbed(FacilityLocationClimb(Z), 60, Lazy).rows.tolist() == scan.rows.tolist()
    for kernel_bytes in (0, 2**27):
        lazy = climbed(FacilityLocationClimb(Z, kernel_bytes=kernel_bytes), 60, Lazy)
        np.testing.assert_allclose(lazy.gains, scan.gains, rtol=1e-4)
        assert (np.diff(lazy.gains) <= 1e-5).all()
        assert lazy.gains.sum() == pytest.approx(coverages(Z, lazy.rows[None])[0], rel=1e-5)


def test_facility_location_of_the_whole_pool_covers_everything(rng):
    Z = unit(rng.normal(size=(60, 4)))
    assert coverages(Z, np.arange(60)[None])[0] == pytest.approx(60)
    assert climbed(FacilityLocationClimb(Z, 1 / 60), 60).gains.sum() == pytest.approx(1)


def test_facility_location_streams_a_scaled_memory_map(rng, tmp_path):
    stored = np.memmap(tmp_path / "x", np.float16, "w+", shape=(300, 8))
    stored[:] = rng.normal(size=(300, 8))
    X = np.asarray(stored, np.float64)
    rows = ScaledRows(stored, weights=1 / np.linalg.norm(X, axis=1), dtype=np.float64)
    streamed = climbed(FacilityLocationClimb(rows, kernel_bytes=0), 20, Lazy)
    np.testing.assert_allclose(streamed.gains, climbed(FacilityLocationClimb(unit(X)), 20).gains, rtol=1e-9)


# facility location over neighbours


def test_all_neighbours_are_facility_location(rng):
    Z = unit(rng.normal(size=(90, 5)))
    near = climbed(NeighbourCoverageClimb(*nearest_neighbours(Z, 90)), 25)
    full = climbed(FacilityLocationClimb(Z), 25)
    # two rows that only cover each other are an exact tie, so rows may differ
    np.testing.assert_allclose(near.gains, full.gains, rtol=1e-9)


def test_neighbour_gains_stay_equal_to_their_definition(rng):
    Z = unit(rng.normal(size=(80, 4)))
    rows, similarities = nearest_neighbours(Z, 7)
    sparse = np.zeros((80, 80))
    np.put_along_axis(sparse, rows.astype(int), similarities, axis=1)
    climb, chosen = NeighbourCoverageClimb(rows, similarities), []
    for row in rng.permutation(80)[:30]:
        slow = slow_gains(lambda S: sparse[:, S].max(axis=1).sum() if S else 0.0, 80, chosen)
        np.testing.assert_allclose(climb.gains(), slow, atol=1e-12)
        climb.add(row)
        chosen.append(int(row))


def test_nearest_neighbours_equal_a_full_sort(rng):
    Z = unit(rng.normal(size=(1500, 6)))
    rows, similarities = nearest_neighbours(Z, 5)
    slow = np.sort(np.argsort(-(Z @ Z.T), axis=1)[:, :5], axis=1)
    assert (rows == slow).all()
    assert (rows == np.arange(1500)[:, None]).any(axis=1).all()
    np.testing.assert_allclose(similarities, np.maximum(np.einsum("nd,nmd->nm", Z, Z[rows]), 0), atol=1e-12)


def test_a_row_is_its_own_neighbour_among_duplicates():
    rows, similarities = nearest_neighbours(np.tile([[1.0, 0]], (6, 1)), 2)
    assert (rows == np.arange(6)[:, None]).any(axis=1).all()
    assert (similarities == 1).all()


# graph cut


def test_graph_cut_example():
    found = climbed(GraphCutClimb(Z3, 0.4), 2)
    assert found.rows.tolist() == [1, 0]
    np.testing.assert_allclose(found.gains, [1.6, 0.7], rtol=1e-12)


@pytest.mark.parametrize("redundancy", [0, 0.4, 2.0])
def test_graph_cut_gains_equal_the_kernel_definition(rng, redundancy):
    Z = unit(rng.normal(size=(70, 6)))
    S = Z @ Z.T
    climb, chosen = GraphCutClimb(Z, redundancy), []

    def value(members):
        return S[:, members].sum() - redundancy * S[np.ix_(members, members)].sum()

    for row in rng.permutation(70)[:12]:
        np.testing.assert_allclose(climb.gains(), slow_gains(value, 70, chosen), atol=1e-10)
        climb.add(row)
        chosen.append(int(row))
    assert graph_cuts(Z, np.array([chosen]), redundancy)[0] == pytest.approx(value(chosen), rel=1e-10)


def test_graph_cut_without_redundancy_is_modular(rng):
    Z = unit(rng.normal(size=(50, 4)))
    found = climbed(GraphCutClimb(Z, 0), 10)
    assert found.rows.tolist() == np.argsort(-(Z @ Z.sum(axis=0)), kind="stable")[:10].tolist()


# log-determinant


def test_log_det_example():
    X = np.array([[1.0, 0], [1, 0]])
    np.testing.assert_allclose(climbed(LogDetClimb(X), 2).gains, [0.693147, 0.405465], atol=5e-7)


@pytest.mark.parametrize("ridge", [0, 1e-3, 1, 10])
def test_log_det_gains_equal_determinants(rng, ridge):
    X = rng.normal(size=(30, 12))
    climb, chosen = LogDetClimb(X, ridge), []

    def value(S):
        return np.linalg.slogdet(X[S] @ X[S].T + ridge * np.eye(len(S)))[1] if S else 0.0

    for row in rng.permutation(30)[:10]:
        others = np.setdiff1d(np.arange(30), chosen)
        np.testing.assert_allclose(climb.gains()[others], slow_gains(value, 30, chosen)[others], rtol=1e-8, atol=1e-9)
        climb.add(row)
        chosen.append(int(row))
    assert log_dets(X, np.array([chosen]), ridge)[0] == pytest.approx(value(chosen), rel=1e-9)


def test_log_det_gains_never_grow(rng):
    gains = climbed(LogDetClimb(rng.normal(size=(80, 10))), 60).gains
    assert (np.diff(gains) <= 1e-12).all()
    assert climbed(LogDetClimb(rng.normal(size=(80, 10))), 60, Lazy).gains.min() > 0


def test_orthonormal_rows_gain_log_two_each_in_order(rng):
    Q = np.eye(7)[:, rng.permutation(7)]
    found = climbed(LogDetClimb(Q), 7)
    assert found.rows.tolist() == list(range(7))
    np.testing.assert_allclose(found.gains, np.log(2), rtol=1e-12)


def test_without_a_ridge_picks_beyond_the_dimension_have_the_floor_as_gain(rng):
    X = rng.normal(size=(9, 3))
    found = climbed(LogDetClimb(X, 0), 6)
    assert (found.gains[:3] > -10).all()
    np.testing.assert_allclose(found.gains[3:], np.log(EXHAUSTED))
    assert found.rows[3:].tolist() == sorted(set(range(9)) - set(found.rows[:3].tolist()))[:3]
    assert log_dets(X, found.rows[None], 0)[0] == pytest.approx(found.gains.sum())


def test_more_rows_than_dimensions_use_the_small_side(rng):
    X = rng.normal(size=(20, 3))
    slow = np.linalg.slogdet(X @ X.T + 0.5 * np.eye(20))[1]
    assert log_dets(X, np.arange(20)[None], 0.5)[0] == pytest.approx(slow, rel=1e-9)


# leverage


@pytest.mark.parametrize("ridge", [1e-5, 1.0])
def test_leverage_scores_equal_the_inverse(rng, ridge):
    X = rng.normal(size=(60, 9))
    climb, M = LeverageClimb(X, ridge), ridge * np.eye(9)
    for row in rng.permutation(60)[:25]:
        slow = np.einsum("nd,dn->n", X, np.linalg.solve(M, X.T))
        np.testing.assert_allclose(climb.scores(), slow, rtol=1e-5)
        np.testing.assert_allclose(climb.gains(), np.log1p(slow), rtol=1e-6)
        climb.add(row)
        M += np.outer(X[row], X[row])


def test_leverage_is_greedy_for_the_log_determinant(rng):
    X = rng.normal(size=(60, 9))
    by_leverage, by_volume = climbed(LeverageClimb(X, 0.3), 30), climbed(LogDetClimb(X, 0.3), 30)
    assert by_leverage.rows.tolist() == by_volume.rows.tolist()
    np.testing.assert_allclose(by_leverage.gains, by_volume.gains - np.log(0.3), rtol=1e-9)


def test_leverages_of_a_full_set_add_up_to_the_effective_dimension(rng):
    X = rng.normal(size=(40, 5))
    climb = LeverageClimb(X, 1e-5)
    for row in range(40):
        climb.add(row)
    spectrum = np.linalg.eigvalsh(X.T @ X)
    assert climb.scores().sum() == pytest.approx((spectrum / (spectrum + 1e-5)).sum(), rel=1e-6)


# all of them

ALL = {
    "pairwise": lambda Z: PairwiseClimb(Z, 10),
    "facility location": FacilityLocationClimb,
    "neighbours": lambda Z: NeighbourCoverageClimb(*nearest_neighbours(Z, 12)),
    "graph cut": lambda Z: GraphCutClimb(Z, 0.4),
    "log-det": LogDetClimb,
    "leverage": LeverageClimb,
}


@pytest.mark.parametrize("name", ALL)
def test_budgets_are_nested_and_rows_may_be_permuted(rng, name):
    Z = unit(rng.normal(size=(40, 6)))
    first = climbed(ALL[name](Z), 1).rows[0] if name != "pairwise" else 3
    long = climbed(ALL[name](Z), 20, first=first).rows.tolist()
    assert climbed(ALL[name](Z), 7, first=first).rows.tolist() == long[:7]
    assert sorted(climbed(ALL[name](Z), 40).rows.tolist()) == list(range(40))
    order = rng.permutation(40)
    moved = climbed(ALL[name](Z[order]), 20, first=int(np.flatnonzero(order == first)[0])).rows
    assert order[moved].tolist() == long
