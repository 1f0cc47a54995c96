import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia.core.errors import InputError
from harmonia.maths.greedy import Lazy, Scan, ascend
from harmonia.maths.ledger import Ledger
from harmonia.select.budget import Budget
from harmonia.select.context import Context
from harmonia.select.objective.decorrelation import Decorrelation, PoolUnit
from harmonia.select.objective.facility_location import FacilityLocation
from harmonia.select.objective.pairwise import Pairwise
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular, WeightedSum
from harmonia.select.solver.base import Problem
from harmonia.select.solver.greedy import Greedy


@given(st.integers(2, 200), st.integers(1, 60), st.data())
@settings(max_examples=60, deadline=None)
def test_batches_share_the_budget_exactly_by_largest_remainder(n, batch, data):
    amount = data.draw(st.integers(1, n))
    pool = Pool.from_arrays(quality=np.random.default_rng(n).random(n))
    picks = Greedy(batch=batch, order="given").solve(
        Problem(pool, Modular("quality", pool.quality["quality"]), Budget(amount))
    )
    assert len(picks.rows) == amount
    sizes = np.array([min(batch, n - start) for start in range(0, n, batch)])
    per_batch = np.bincount(picks.batches, minlength=len(sizes))
    assert (np.abs(per_batch - sizes * amount / n) < 1).all()
    assert (picks.rows // batch == picks.batches).all()
    for b, start in enumerate(range(0, n, batch)):
        best = start + np.argsort(-pool.quality["quality"][start : start + batch], kind="stable")[: per_batch[b]]
        assert picks.rows[picks.batches == b].tolist() == best.tolist()


def test_no_row_after_the_last_full_batch_is_lost(bench):
    pool = bench.pool(2 * 16 + 5)
    picks = Greedy(batch=16).solve(bench.problem(pool, bench.joint(pool), 37))
    assert np.bincount(picks.batches).tolist() == [16, 16, 5]


def test_one_batch_is_the_whole_pool(bench):
    pool = bench.pool(40)
    f = bench.joint(pool)
    whole, one = (Greedy(batch=b).solve(bench.problem(pool, f, 12)).rows.tolist() for b in ("all", 40))
    assert whole == one


def test_a_smaller_budget_is_a_prefix_of_a_larger(bench):
    pool = bench.pool(40)
    f = Decorrelation().fit(pool, Context(dtype=np.float64))
    small, large = (Greedy().solve(bench.problem(pool, f, k)).rows.tolist() for k in (6, 17))
    assert large[:6] == small


def test_whole_pool_decorrelation_from_a_named_document(bench):
    """Unit rows (1,0), (0,1), (.6,.8), (-1,0) uncentred: F = 1, 2, 5, 8.72; gains are minus its steps over 16."""
    U = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]])
    pool = Pool.from_arrays(U, ids=["a", "b", "c", "d"])
    picks = Greedy(first="a").solve(Problem(pool, PoolUnit(U), Budget(4), Context(dtype=np.float64)))
    assert picks.rows.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(-16 * np.cumsum(picks.scores), [1, 2, 5, 8.72], rtol=1e-9)
    assert picks.facts["gain"] == pytest.approx(-8.72 / 16)


def test_the_random_first_document_depends_on_seed_and_id_alone(bench):
    pool = bench.pool(50)
    f = Decorrelation().fit(pool, Context())
    firsts = [int(Greedy(first="random").solve(bench.problem(pool, f, 1, seed=s)).rows[0]) for s in range(20)]
    assert len(set(firsts)) > 10
    order = np.random.default_rng(0).permutation(50)
    other = bench.permuted(pool, order)
    g = Decorrelation().fit(other, Context())
    assert [
        int(order[Greedy(first="random").solve(bench.problem(other, g, 1, seed=s)).rows[0]]) for s in range(20)
    ] == firsts


def test_each_batch_has_a_first_document_of_its_own(bench):
    pool = bench.pool(64)
    f = Decorrelation().fit(pool, Context())
    picks = Greedy(batch=16, first="random").solve(bench.problem(pool, f, 4))
    assert np.bincount(picks.batches).tolist() == [1, 1, 1, 1]
    assert len(set(picks.rows.tolist())) == 4


def test_a_random_first_document_is_one_that_may_be_picked(bench):
    pool = bench.pool(30)
    scores = np.where(np.arange(30) == 17, 1.0, -np.inf)
    assert Greedy(first="random").solve(bench.problem(pool, Modular("quality", scores), 1)).rows.tolist() == [17]


def test_an_unknown_first_document_is_named(bench):
    pool = bench.pool(5)
    with pytest.raises(InputError, match=r"solver.first: no document has the id 'nobody'"):
        Greedy(first="nobody").solve(bench.problem(pool, bench.quality(pool), 2))


def test_terms_are_the_unweighted_parts_of_the_gain(bench):
    pool = bench.pool(30)
    f = bench.joint(pool, 0.3)
    picks = Greedy().solve(bench.problem(pool, f, 8))
    np.testing.assert_allclose(picks.scores, 0.3 * picks.terms["quality"] + 0.7 * picks.terms["pairwise"], atol=1e-12)
    np.testing.assert_allclose(picks.terms["quality"], pool.quality["quality"][picks.rows] / 8)
    assert picks.terms["pairwise"].sum() + 1 == pytest.approx(float(f.terms[1].evaluate(picks.rows[None])[0]))


def test_continuing_equals_not_having_stopped(bench):
    pool = bench.pool(40)
    f = Decorrelation().fit(pool, Context(dtype=np.float64))
    long = Greedy().solve(bench.problem(pool, f, 15)).rows
    rest = Greedy().solve(bench.problem(pool, f, 9, chosen=long[:6])).rows
    assert rest.tolist() == long[6:].tolist()


def test_batches_build_on_what_is_chosen(bench):
    """Alone, the first row of each batch would be picked; it is a copy of a chosen one."""
    X = np.eye(5)[[0, 1, 2, 0, 3, 1, 2, 4, 0]]
    pool = Pool.from_arrays(X)
    picks = Greedy(batch=3, order="given").solve(bench.problem(pool, PoolUnit(X), 2, chosen=[0, 1, 2]))
    assert picks.rows.tolist() == [4, 7] and picks.batches.tolist() == [1, 2]
    alone = Greedy(batch=3, order="given").solve(bench.problem(pool, PoolUnit(X), 3))
    assert alone.rows.tolist() == [0, 3, 6]


def test_threads_do_not_change_the_picks(bench, monkeypatch):
    pool = bench.pool(120)
    f = bench.joint(pool)
    many = Greedy(batch=10).solve(bench.problem(pool, f, 30))
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    one = Greedy(batch=10).solve(bench.problem(pool, f, 30))
    assert many.rows.tolist() == one.rows.tolist() and many.scores.tolist() == one.scores.tolist()


def test_pool_unit_covers_the_clusters_of_a_mixture():
    """1024 x 256 mixture of 100 clusters with near-duplicates, 16 picks: 16 clusters, small cosines."""
    random = np.random.default_rng(0)
    weights, centres = random.dirichlet(np.full(100, 0.3)), random.normal(size=(100, 256))
    label = random.choice(100, 1024, p=weights)
    X = centres[label] + 0.6 * random.normal(size=(1024, 256))
    X[-128:], label[-128:] = X[:128] + 0.01 * random.normal(size=(128, 256)), label[:128]
    pool = Pool.from_arrays(X.astype(np.float32))
    f = Decorrelation().fit(pool, Context())
    rows = Greedy(first="random").solve(Problem(pool, f, Budget(16))).rows
    U = X[rows] - X.mean(axis=0)
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    assert len(set(label[rows].tolist())) == 16
    assert np.abs(U @ U.T - np.eye(16)).max() < 0.25


def test_decorrelation_costs_never_fall_so_lazy_takes_the_rows_of_the_full_scan(bench):
    X = np.random.default_rng(0).normal(size=(3000, 64))
    f = Decorrelation().fit(Pool.from_arrays(X), Context(dtype=np.float64))
    climb, other = f.climb(None, 200), f.climb(None, 200)
    ledger, second = (Ledger(np.ones(3000, bool), 200) for _ in range(2))
    lazy = Lazy(climb, ledger)
    found, scanned = ascend(climb, ledger, lazy, first=5), ascend(other, second, Scan(other, second), first=5)
    assert found.rows.tolist() == scanned.rows.tolist()
    np.testing.assert_allclose(found.gains, scanned.gains, rtol=1e-9)
    assert (np.diff(found.gains[1:]) <= 1e-15).all()
    assert lazy.refreshed < 0.1 * 3000 * 200


def test_a_pool_smaller_than_a_batch_is_said_to_be_one(bench):
    pool, said = bench.pool(20), []
    problem = bench.problem(pool, bench.joint(pool), 5, warn=said.append)
    picks = Greedy(batch=32).solve(problem)
    assert said == ["the pool has 20 documents, fewer than solver.batch=32: it is one batch"]
    assert picks.rows.tolist() == Greedy().solve(problem).rows.tolist() and len(said) == 1


def test_an_excluded_first_document_is_named(bench):
    X = np.random.default_rng(0).normal(size=(6, 3))
    X[2] = 0
    pool = Pool.from_arrays(X, ids=list("abcdef"))
    f = Pairwise(zero="drop").fit(pool, Context())
    with pytest.raises(InputError, match=r"solver.first: the objective excludes document 'c'; give another id"):
        Greedy(first="c").solve(bench.problem(pool, f, 2))


def test_what_a_batch_may_not_pick_still_counts_in_what_it_covers(bench):
    """In one batch and in the whole pool alike, an excluded document attracts a pick that is near to it."""
    X = np.array([[1.0, 0.1], [1, 0], [1, 0.05], [0, 1]])
    pool = Pool.from_arrays(X, quality=np.array([1, 1, 1, 1.0]))
    excluded = np.array([-np.inf, -np.inf, 0, 0])
    f = WeightedSum([0, 1], [Modular("quality", excluded), FacilityLocation().fit(pool, Context(dtype=np.float64))])
    for batch in ("all", 4):
        assert Greedy(batch=batch).solve(bench.problem(pool, f, 1)).rows.tolist() == [2]
