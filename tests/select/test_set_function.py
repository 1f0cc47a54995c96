"""Set functions: sums of terms of which some exclude documents."""

import numpy as np
import pytest

from harmonia.select.budget import Budget
from harmonia.select.context import Context
from harmonia.select.objective.facility_location import FacilityLocation
from harmonia.select.objective.pairwise import Pairwise
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular, WeightedSum
from harmonia.select.solver import FrankWolfe, Greedy, MaskPolicyGradient, StochasticGreedy, TopN
from harmonia.select.solver.base import Problem
from harmonia.select.subset import Restricted


@pytest.fixture
def pool():
    random = np.random.default_rng(0)
    X = random.normal(size=(24, 4))
    X[:4] = 0
    return Pool.from_arrays(X, quality=random.random(24))


def scores(pool):
    return np.where(np.arange(24) % 6 == 5, -np.inf, pool.quality["quality"])


@pytest.mark.parametrize("weight", [1.0, 0.0, -1.0])
def test_an_excluded_document_stays_so_whatever_the_weight(pool, weight):
    own = scores(pool)
    out = np.isneginf(own)
    f = WeightedSum([weight, 1.0], [Modular("a", own), Modular("b", pool.quality["quality"])])
    m = np.full(24, 0.25)
    m[out] = 0
    assert (f.forbidden() == out).all()
    for values in (f.scores(), f.climb(None, 3).gains(), f.relax(3).gradient(m)):
        assert np.isneginf(values[out]).all() and np.isfinite(values[~out]).all()
    np.testing.assert_allclose(f.scores()[~out], (1 + weight) * pool.quality["quality"][~out])
    assert f.evaluate(np.array([[0, 1], [0, 5]])).tolist() == [pytest.approx(f.scores()[:2].mean()), -np.inf]
    m[5] = 0.5
    assert f.relax(3).value(m) == -np.inf


@pytest.mark.parametrize("weight", [0.5, 0.0, -0.5])
@pytest.mark.parametrize(
    "solver",
    [
        Greedy(),
        Greedy(batch=6, first="random"),
        StochasticGreedy(delta=0.5),
        FrankWolfe(),
        MaskPolicyGradient(steps=5, masks=4, batch_fraction=0.5),
    ],
    ids=lambda s: s.kind,
)
def test_exclusions_of_every_term_bind_every_solver(pool, solver, weight):
    terms = [Modular("a", scores(pool)), Pairwise(zero="drop").fit(pool, Context(dtype=np.float64))]
    f = WeightedSum([weight, 1.0], terms)
    allowed = np.flatnonzero((np.arange(24) >= 4) & (np.arange(24) % 6 != 5))
    assert np.flatnonzero(~f.forbidden()).tolist() == allowed.tolist()
    for amount in (3, len(allowed)):
        picks = solver.solve(Problem(pool, f, Budget(amount)))
        assert set(picks.rows) <= set(allowed) and len(picks.rows) == amount
        assert np.isfinite(picks.scores).all()


def test_a_diversity_of_weight_zero_leaves_the_order_to_quality(pool):
    diversity = Pairwise(zero="drop").fit(pool, Context(dtype=np.float64))
    f = WeightedSum([1.0, 0.0], [Modular("quality", pool.quality["quality"]), diversity])
    best = 4 + np.argsort(-pool.quality["quality"][4:])[:6]
    for solver in (Greedy(), FrankWolfe()):
        assert sorted(solver.solve(Problem(pool, f, Budget(6))).rows) == sorted(best)


def test_restricting_and_nesting_keep_what_is_excluded(pool):
    inner = WeightedSum([0.0], [Modular("a", scores(pool))])
    f = WeightedSum([-2.0, 1.0], [inner, Modular("b", np.zeros(24))])
    assert (f.forbidden() == np.isneginf(scores(pool))).all()
    rows = np.array([3, 5, 11, 12])
    assert Restricted(f, rows).forbidden().tolist() == [False, True, True, False]
    assert np.isneginf(Restricted(f, rows).climb(None, 2).gains()).tolist() == [False, True, True, False]


def test_a_negative_score_term_does_not_cost_lazy_evaluation(pool):
    coverage = FacilityLocation(zero="drop").fit(pool, Context(dtype=np.float64))
    length = Modular("length", pool.quality["quality"])
    assert WeightedSum([1, -0.1], [coverage, length]).climb(None, 5).diminishing
    assert not WeightedSum([-0.1, 1], [coverage, length]).climb(None, 5).diminishing


def test_top_n_of_a_sum_never_takes_an_excluded_document(pool):
    f = WeightedSum([-1.0, 1.0], [Modular("a", scores(pool)), Modular("b", np.zeros(24))])
    picks = TopN().solve(Problem(pool, f, Budget(20)))
    assert sorted(picks.rows) == np.flatnonzero(np.isfinite(scores(pool))).tolist()
