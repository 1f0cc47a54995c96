"""Whatever the batches, sources and bounds: the budget is exact and every bound holds, or the reason is given."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia.core.errors import InputError
from harmonia.select.budget import Budget
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular
from harmonia.select.solver import Greedy, Stratified
from harmonia.select.solver.base import Problem


def whole(pool, floors, ceilings, amount):
    """Whether whole numbers of documents can fulfil the bounds, and their tightest form."""
    held = np.bincount(pool.sources, minlength=len(pool.source_names))
    low = np.array([np.ceil(floors.get(s, 0) * amount - 1e-9) for s in pool.source_names])
    high = np.array([np.floor(ceilings.get(s, 1) * amount + 1e-9) for s in pool.source_names])
    return low, high, bool((low <= held).all() and low.sum() <= amount <= np.minimum(high, held).sum())


shares = st.integers(0, 10).map(lambda tenth: tenth / 10)


@given(
    st.lists(st.integers(0, 2), min_size=3, max_size=60),
    st.integers(1, 20),
    st.sampled_from(["given", "shuffled"]),
    st.dictionaries(st.sampled_from("abc"), shares, max_size=2),
    st.dictionaries(st.sampled_from("abc"), shares, max_size=2),
    st.data(),
)
@settings(max_examples=150, deadline=None)
def test_batches_and_strata_keep_the_bounds_whenever_they_can_be_kept(labels, batch, order, floors, ceilings, data):
    names = ["abc"[label] for label in labels]
    n = len(names)
    amount = data.draw(st.integers(1, n))
    pool = Pool.from_arrays(quality=np.random.default_rng(n).random(n), sources=names)
    floors = {s: v for s, v in floors.items() if s in pool.source_names}
    ceilings = {s: max(v, floors.get(s, 0)) for s, v in ceilings.items() if s in pool.source_names}
    problem = Problem(pool, Modular("quality", pool.quality["quality"]), Budget(amount, "documents", floors, ceilings))
    low, high, feasible = whole(pool, floors, ceilings, amount)
    for solver in (Greedy(batch=batch, order=order), Greedy(), Stratified(alpha=0.5)):
        if not feasible:
            continue
        picks = solver.solve(problem)
        counts = np.bincount(pool.sources[picks.rows], minlength=len(low))
        assert counts.sum() == amount == len(np.unique(picks.rows))
        assert (low <= counts).all() and (counts <= np.maximum(high, low)).all()


@given(st.lists(st.integers(1, 40), min_size=2, max_size=60), st.integers(1, 20), st.data())
@settings(max_examples=100, deadline=None)
def test_tokens_in_batches_exceed_the_budget_by_less_than_one_document(costs, batch, data):
    costs = np.array(costs)
    amount = data.draw(st.integers(1, int(costs.sum())))
    pool = Pool.from_arrays(quality=np.random.default_rng(0).random(len(costs)), tokens=costs)
    picks = Greedy(batch=batch).solve(
        Problem(pool, Modular("quality", pool.quality["quality"]), Budget(amount, "tokens"))
    )
    assert amount <= costs[picks.rows].sum() < amount + costs[picks.rows].max()


def test_a_document_without_tokens_is_named():
    pool = Pool.from_arrays(quality=np.ones(3), tokens=np.array([3, 0, 1]), ids=["a", "b", "c"])
    with pytest.raises(InputError, match="document 'b' has 0 tokens; a token budget needs at least 1"):
        Greedy().solve(Problem(pool, Modular("quality", np.ones(3)), Budget(2, "tokens")))
