"""Pairwise, facility location, graph cut, log-determinant and leverage on a pool."""

from itertools import combinations

import numpy as np
import pytest
from pydantic import ValidationError

from harmonia.core.errors import InputError
from harmonia.maths.greedy import Lazy, Scan, ascend
from harmonia.maths.ledger import Ledger
from harmonia.select.context import Context
from harmonia.select.objective.facility_location import FacilityLocation
from harmonia.select.objective.graph_cut import GraphCut
from harmonia.select.objective.leverage import Leverage
from harmonia.select.objective.log_det import LogDet
from harmonia.select.objective.neighbour_coverage import NeighbourCoverage
from harmonia.select.objective.pairwise import Pairwise
from harmonia.select.pool import Pool

EVERY = [Pairwise(), FacilityLocation(), NeighbourCoverage(neighbours=9), GraphCut(), LogDet(), Leverage(ridge=0.1)]
UNIT = EVERY[:-1]


@pytest.fixture
def rng():
    return np.random.default_rng(6)


def fit(objective, X, *, warnings=None, **pool):
    said = [] if warnings is None else warnings
    return objective.fit(Pool.from_arrays(X, **pool), Context(dtype=np.float64, warn=said.append))


def climbed(climb, k, first=None, search=Scan):
    ledger = Ledger(np.ones(climb.size, bool), k)
    return ascend(climb, ledger, search(climb, ledger), first=first)


def unit(X):
    return X / np.linalg.norm(X, axis=1)[:, None]


def slow(objective, X, members):
    """f by its definition, with the whole kernel."""
    Z = unit(X)
    K, n, S = Z @ Z.T, len(X), len(members)
    inside = K[np.ix_(members, members)]
    if isinstance(objective, Pairwise):
        return 1 - (inside.sum() - np.trace(inside)) / (S * (S - 1))
    if isinstance(objective, FacilityLocation):
        return np.maximum(K, 0)[:, members].max(axis=1).mean()
    if isinstance(objective, NeighbourCoverage):
        nearest = np.argsort(-K, axis=1)[:, : objective.neighbours]
        return np.mean([max([0, *(K[i, j] for j in members if j in nearest[i])]) for i in range(n)])
    if isinstance(objective, GraphCut):
        return (K[:, members].sum() - objective.redundancy * inside.sum()) / (n * S)
    if isinstance(objective, LogDet):
        return np.linalg.slogdet(inside + objective.ridge * np.eye(S))[1] / S
    return np.linalg.slogdet(X[members] @ X[members].T / objective.ridge + np.eye(S))[1] / S


@pytest.mark.parametrize("objective", EVERY, ids=lambda o: o.kind)
def test_values_by_definition_and_gains_that_add_up_to_them(rng, objective):
    X = rng.normal(size=(50, 6)) + 0.3
    f = fit(objective, X)
    found = climbed(f.climb(None, 8), 8, first=4)
    sets = np.stack([found.rows, *(rng.choice(50, 8, replace=False) for _ in range(4))])
    np.testing.assert_allclose(f.evaluate(sets), [slow(objective, X, list(S)) for S in sets], rtol=1e-8)
    constant = 1 if isinstance(objective, Pairwise) else 0
    assert found.gains.sum() + constant == pytest.approx(slow(objective, X, list(found.rows)), rel=1e-8)
    # evaluate through a climb says the same
    np.testing.assert_allclose(super(type(f), f).evaluate(sets), f.evaluate(sets))
    assert f.n == 50 and f.names == (objective.kind,)


@pytest.mark.parametrize("objective", EVERY, ids=lambda o: o.kind)
def test_a_climb_over_rows_knows_nothing_of_the_rest(rng, objective):
    X = rng.normal(size=(60, 5))
    rows = rng.choice(60, 25, replace=False)
    part, alone = (
        climbed(f.climb(r, 6), 6, first=3) for f, r in ((fit(objective, X), rows), (fit(objective, X[rows]), None))
    )
    assert part.rows.tolist() == alone.rows.tolist()
    np.testing.assert_allclose(part.gains, alone.gains, rtol=1e-9)
    values = fit(objective, X).evaluate(part.rows[None], rows)
    np.testing.assert_allclose(values, fit(objective, X[rows]).evaluate(part.rows[None]), rtol=1e-9)


@pytest.mark.parametrize("objective", EVERY, ids=lambda o: o.kind)
def test_what_is_said_to_diminish_does(rng, objective):
    climb, last = fit(objective, rng.normal(size=(40, 5))).climb(None, 20), None
    rises = False
    for row in rng.permutation(40)[:20]:
        gains = climb.gains().copy()
        rises |= last is not None and bool((gains > last + 1e-9).any())
        last = gains
        climb.add(int(row))
    assert rises != climb.diminishing


@pytest.mark.parametrize("objective", EVERY, ids=lambda o: o.kind)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_name_the_document(rng, objective, bad):
    X = rng.normal(size=(12, 3))
    X[8, 1] = bad
    with pytest.raises(InputError, match=rf"{objective.kind}: the features of document 'd8' hold NaN or an infinity"):
        fit(objective, X, ids=[f"d{i}" for i in range(12)])


@pytest.mark.parametrize("objective", UNIT, ids=lambda o: o.kind)
def test_zero_vectors_are_named_or_dropped(rng, objective):
    X = rng.normal(size=(12, 3))
    X[[2, 7]] = 0
    with pytest.raises(InputError, match=r"features of 2 documents \('2', '7'\) are zero.*zero=drop"):
        fit(objective, X)
    f = fit(objective.model_copy(update={"zero": "drop"}), X)
    rows = climbed(f.climb(None, 12), 12, search=Lazy if f.climb(None, 12).diminishing else Scan).rows
    assert sorted(rows.tolist()) == sorted(set(range(12)) - {2, 7})
    with pytest.raises(InputError, match="every feature vector is zero"):
        fit(objective.model_copy(update={"zero": "drop"}), np.zeros((5, 3)))


def test_equal_documents_have_no_diversity():
    f = fit(Pairwise(), np.ones((9, 3)))
    np.testing.assert_allclose(f.evaluate(np.array([[0, 1, 2], [4, 6, 8]])), 0, atol=1e-12)


@pytest.mark.parametrize(("rows", "value"), [([[1, 0], [0, 2]], 1), ([[1, 0], [3, 0]], 0), ([[1, 0], [-1, 0]], 2)])
def test_pairwise_examples_do_not_depend_on_length(rows, value):
    assert fit(Pairwise(), np.array(rows, float)).evaluate(np.array([[0, 1]]))[0] == pytest.approx(value)


def test_pairwise_relaxation_is_the_value_on_sets_and_bounds_every_subset(rng):
    f, mask = fit(Pairwise(), rng.normal(size=(12, 4))), np.zeros(12)
    mask[[1, 5, 6, 11]] = 1
    relaxed = f.relax(4)
    assert relaxed.value(mask) == pytest.approx(f.evaluate(np.array([[1, 5, 6, 11]]))[0], rel=1e-10)
    best = f.evaluate(np.array(list(combinations(range(12), 4)))).max()
    slope = relaxed.gradient(mask)
    assert relaxed.value(mask) + np.sort(slope)[-4:].sum() - slope @ mask >= best


def test_facility_location_of_everything_is_one(rng):
    f = fit(FacilityLocation(), rng.normal(size=(40, 5)))
    assert f.evaluate(np.arange(40)[None])[0] == pytest.approx(1)


def test_log_det_quality_multiplies_the_vectors(rng):
    X, q = rng.normal(size=(30, 5)), rng.uniform(0.5, 2, 30)
    f = fit(LogDet(quality="score"), X, quality={"score": q})
    L = np.outer(q, q) * (unit(X) @ unit(X).T)
    members = [3, 9, 27, 14]
    expected = np.linalg.slogdet(L[np.ix_(members, members)] + np.eye(4))[1] / 4
    assert f.evaluate(np.array([members]))[0] == pytest.approx(expected, rel=1e-10)
    assert climbed(f.climb(None, 1), 1).rows[0] == np.argmax(q)


def test_log_det_weights_must_be_positive(rng):
    with pytest.raises(InputError, match="quality column 'score' is 0 at document '4'"):
        fit(LogDet(quality="score"), rng.normal(size=(9, 3)), quality={"score": np.abs(np.arange(9.0) - 4)})
    with pytest.raises(InputError, match="no quality column 'scor'; did you mean 'score'"):
        fit(LogDet(quality="scor"), rng.normal(size=(9, 3)), quality={"score": np.ones(9)})


def test_log_det_without_ridge_warns_beyond_the_dimension(rng):
    said = []
    f = fit(LogDet(ridge=0), rng.normal(size=(9, 3)), warnings=said)
    f.climb(None, 3)
    assert not said
    found = climbed(f.climb(None, 5), 5)
    assert "5 picks from vectors of 3 dimensions" in said[0]
    np.testing.assert_allclose(found.gains[3:], np.log(1e-12) / 5)
    assert f.evaluate(found.rows[None])[0] == pytest.approx(found.gains.sum())


def test_leverage_prefers_long_vectors_and_others_do_not(rng):
    X = rng.normal(size=(30, 4))
    X[11] *= 100
    assert climbed(fit(Leverage(), X).climb(None, 1), 1).rows[0] == 11
    np.testing.assert_allclose(fit(LogDet(), X).climb(None, 1).gains(), np.log(2))


def test_text_features_are_refused():
    with pytest.raises(InputError, match="not real numbers"):
        fit(Pairwise(), np.array([["a", "b"], ["c", "d"]]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: GraphCut(redundancy=-1),
        lambda: LogDet(ridge=-1),
        lambda: Leverage(ridge=0),
        lambda: NeighbourCoverage(neighbours=0),
        lambda: Pairwise(zero="keep"),
    ],
)
def test_bounds_of_settings(make):
    with pytest.raises(ValidationError):
        make()
