"""What holds for every solver, whatever it does."""

import itertools

import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.select.set_function import Modular
from harmonia.select.solver.frank_wolfe import FrankWolfe
from harmonia.select.solver.greedy import Greedy
from harmonia.select.solver.gumbel import Gumbel
from harmonia.select.solver.k_center import KCenter
from harmonia.select.solver.mask_policy_gradient import MaskPolicyGradient
from harmonia.select.solver.stochastic_greedy import StochasticGreedy
from harmonia.select.solver.stratified import Stratified
from harmonia.select.solver.threshold import Threshold
from harmonia.select.solver.top_n import TopN

MODULAR = [TopN(), Threshold(), Gumbel(), Stratified(), Stratified(strata="cluster", clusters=4)]
SETS = [
    Greedy(),
    Greedy(batch=16),
    Greedy(batch=16, first="random"),
    Greedy(batch=13, order="given"),
    StochasticGreedy(delta=0.3),
    FrankWolfe(),
    KCenter(),
    MaskPolicyGradient(steps=20, masks=8, batch_fraction=0.5),
    MaskPolicyGradient(steps=20, masks=8, batch_fraction=1, block=20, keep=0.9, init="quality", final="sample"),
]
ALL = MODULAR + SETS
CONTINUING = [s for s in ALL if not isinstance(s, MaskPolicyGradient)]


every = pytest.mark.parametrize("solver", ALL, ids=lambda s: s.kind)


def objective(bench, solver, pool):
    return bench.quality(pool) if solver in MODULAR else bench.joint(pool)


@every
def test_the_budget_is_met_exactly_and_nothing_is_picked_twice(bench, solver):
    pool = bench.pool(60)
    for amount in (2, 7, 31, 50):
        function = objective(bench, solver, pool)
        picks = solver.solve(bench.problem(pool, function, amount))
        assert len(picks.rows) == len(np.unique(picks.rows)) == amount
        assert picks.rows.dtype == np.int64 and picks.scores.dtype == np.float64
        assert picks.rows.min() >= 0 and picks.rows.max() < 60
        assert list(picks.terms) == list(function.names)
        assert all(len(column) == amount for column in (picks.scores, picks.batches, *picks.terms.values()))
        assert np.isfinite(picks.scores).all()


@pytest.mark.parametrize("solver", [s for s in ALL if getattr(s, "keep", 1) == 1], ids=lambda s: s.kind)
def test_the_whole_pool_is_the_pool(bench, solver):
    pool = bench.pool(30)
    picks = solver.solve(bench.problem(pool, objective(bench, solver, pool), 30))
    assert sorted(picks.rows) == list(range(30))


@every
def test_the_same_seed_gives_the_same_picks(bench, solver):
    pool = bench.pool(60)
    first, second = (solver.solve(bench.problem(pool, objective(bench, solver, pool), 9, seed=4)) for _ in range(2))
    assert first.rows.tolist() == second.rows.tolist() and first.scores.tolist() == second.scores.tolist()
    assert first.facts == second.facts


@pytest.mark.parametrize("solver", [s for s in ALL if getattr(s, "order", "") != "given"], ids=lambda s: s.kind)
def test_the_order_of_the_pool_does_not_matter(bench, solver):
    pool = bench.pool(60)
    order = np.random.default_rng(1).permutation(60)
    other = bench.permuted(pool, order)
    picks = solver.solve(bench.problem(pool, objective(bench, solver, pool), 9))
    moved = solver.solve(bench.problem(other, objective(bench, solver, other), 9))
    assert sorted(order[moved.rows]) == sorted(picks.rows)


@every
def test_a_token_budget_ends_with_the_document_that_reaches_it(bench, solver):
    pool = bench.pool(80)
    for amount in (40, 333, 1000):
        picks = solver.solve(bench.problem(pool, objective(bench, solver, pool), amount, "tokens"))
        assert picks_cost(pool, picks) >= amount > picks_cost(pool, picks) - pool.tokens[picks.rows].max()


def picks_cost(pool, picks):
    return int(pool.tokens[picks.rows].sum())


@every
@pytest.mark.parametrize("amount", [10, 17, 23])
def test_floors_and_ceilings_bind_in_documents(bench, solver, amount):
    pool = bench.pool(90)
    floors, ceilings = {"s0": 0.5, "s1": 0.2}, {"s1": 0.3, "s2": 0.21}
    picks = solver.solve(bench.problem(pool, objective(bench, solver, pool), amount, floors=floors, ceilings=ceilings))
    counts = np.bincount(pool.sources[picks.rows], minlength=3)
    assert counts.sum() == amount
    assert counts[0] >= 0.5 * amount and counts[1] >= 0.2 * amount
    assert counts[1] <= 0.3 * amount and counts[2] <= 0.21 * amount


@every
def test_floors_and_ceilings_bind_in_tokens(bench, solver):
    pool = bench.pool(90)
    picks = solver.solve(
        bench.problem(pool, objective(bench, solver, pool), 600, "tokens", floors={"s0": 0.5}, ceilings={"s1": 0.25})
    )
    tokens = np.bincount(pool.sources[picks.rows], weights=pool.tokens[picks.rows], minlength=3)
    assert tokens[0] >= 300
    assert tokens[1] < 150 + 50
    assert 600 <= tokens.sum() < 600 + 3 * 50


@every
def test_a_budget_above_the_pool_is_refused(bench, solver):
    pool = bench.pool(12)
    with pytest.raises(InputError, match=r"the budget is 13 documents, but only 1\d remain"):
        solver.solve(bench.problem(pool, objective(bench, solver, pool), 13))


@pytest.mark.parametrize("solver", [s for s in ALL if getattr(s, "keep", 1) == 1], ids=lambda s: s.kind)
def test_a_floor_above_its_source_is_refused(bench, solver):
    pool = bench.pool(30)
    held = int((pool.sources == 0).sum())
    with pytest.raises(InputError, match=f"the floor of 's0' is 20 documents, but only {held}"):
        solver.solve(bench.problem(pool, objective(bench, solver, pool), 20, floors={"s0": 1.0}))


@every
def test_ceilings_that_leave_too_little_are_refused(bench, solver):
    pool = bench.pool(30)
    with pytest.raises(InputError, match=r"raise a ceiling|ceilings add up"):
        solver.solve(
            bench.problem(pool, objective(bench, solver, pool), 20, ceilings={"s0": 0.1, "s1": 0.1, "s2": 0.1})
        )


@pytest.mark.parametrize("solver", CONTINUING, ids=lambda s: s.kind)
def test_what_is_chosen_already_is_not_picked_again(bench, solver):
    pool = bench.pool(40)
    picks = solver.solve(bench.problem(pool, objective(bench, solver, pool), 25, chosen=range(0, 30, 2)))
    assert sorted(picks.rows) == sorted(set(range(40)) - set(range(0, 30, 2)))


@every
def test_documents_excluded_by_the_objective_are_never_picked(bench, solver):
    pool = bench.pool(40)
    scores = np.where(np.arange(40) % 2 == 0, -np.inf, pool.quality["quality"])
    picks = solver.solve(bench.problem(pool, Modular("quality", scores), 10))
    assert (picks.rows % 2 == 1).all()
    if not isinstance(solver, Threshold):
        with pytest.raises(InputError, match=r"-inf|may be picked|of 40 documents"):
            solver.solve(bench.problem(pool, Modular("quality", scores), 30))


@every
@pytest.mark.parametrize("unit", ["documents", "tokens"])
def test_all_that_is_not_excluded_can_be_picked_however_it_is_spread(bench, solver, unit):
    """Sources, batches and blocks of which little may be picked pass their part of the budget on."""
    pool = bench.pool(60)
    scores = np.where(np.arange(60) < 28, -np.inf, pool.quality["quality"])
    scores[pool.sources == 0] = -np.inf
    if getattr(solver, "keep", 1) < 1:
        scores[np.argsort(pool.quality["quality"])[:6]] = -np.inf
    allowed = np.flatnonzero(scores > -np.inf)
    amount = len(allowed) if unit == "documents" else int(pool.tokens[allowed].sum())
    picks = solver.solve(bench.problem(pool, Modular("quality", scores), amount, unit))
    assert sorted(picks.rows) == allowed.tolist()


@pytest.mark.parametrize("solver", [Greedy(), FrankWolfe()], ids=lambda s: s.kind)
@pytest.mark.parametrize("seed", range(4))
def test_bounded_sets_are_close_to_the_best_bounded_subset(bench, solver, seed):
    pool = bench.pool(12, seed, sources=2)
    f = bench.joint(pool)
    bounds = {"floors": {"s0": 0.5}, "ceilings": {"s1": 0.25}}
    picks = solver.solve(bench.problem(pool, f, 4, **bounds))
    feasible = [s for s in itertools.combinations(range(12), 4) if (pool.sources[list(s)] == 1).sum() <= 1]
    values = f.evaluate(np.array(feasible))
    value = f.evaluate(picks.rows[None])[0]
    assert value <= values.max() + 1e-12
    assert value >= values.max() - 0.25 * (values.max() - values.min())
    if isinstance(solver, FrankWolfe):
        assert values.max() <= picks.facts["bound"] + 1e-9


@pytest.mark.parametrize(
    "solver",
    [TopN(), Greedy(), FrankWolfe(), Threshold(least=-1), Gumbel(temperature=0), StochasticGreedy(delta=1e-30)],
    ids=lambda s: s.kind,
)
def test_a_sum_over_documents_is_maximised_by_its_largest_scores(bench, solver):
    pool = bench.pool(50)
    f = bench.quality(pool)
    for amount in (1, 7, 50):
        picks = solver.solve(bench.problem(pool, f, amount))
        assert picks.rows.tolist() == np.argsort(-pool.quality["quality"])[:amount].tolist()


def test_rows_chosen_already_are_checked(bench):
    pool = bench.pool(5)
    with pytest.raises(InputError, match=r"must lie in 0 .. 4"):
        bench.problem(pool, bench.quality(pool), 2, chosen=[5])
    with pytest.raises(InputError, match="named twice"):
        bench.problem(pool, bench.quality(pool), 2, chosen=[1, 1])
    with pytest.raises(InputError, match="covers 5 documents, the pool has 6"):
        bench.problem(bench.pool(6), bench.quality(pool), 2)
