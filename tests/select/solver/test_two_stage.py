from typing import Literal

import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.select.budget import Budget
from harmonia.select.context import Context
from harmonia.select.objective.base import Objective
from harmonia.select.objective.pairwise import Pairwise
from harmonia.select.objective.prototypes import Prototypes
from harmonia.select.objective.quality import Quality
from harmonia.select.objective.weighted import Term, Weighted
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular
from harmonia.select.solver import FrankWolfe, Greedy, MaskPolicyGradient, TopN, TwoStage
from harmonia.select.solver.base import Problem
from harmonia.select.subset import Deferred, Restricted, restrict, subpool

SEEN = []
CHEAP = Quality(column="cheap")


class Dear(Objective):
    """Remembers how many documents it was fitted on."""

    kind: Literal["dear"] = "dear"

    def fit(self, pool, context):
        SEEN.append(len(pool))
        return Modular("dear", context.keep("scores", lambda: {"dear": pool.quality["dear"]})["dear"])


@pytest.fixture
def pool():
    random = np.random.default_rng(0)
    return Pool.from_arrays(
        random.normal(size=(40, 3)),
        quality={"cheap": random.random(40), "dear": random.random(40)},
        texts=[f"text {i}" for i in range(40)],
        ids=[f"doc{i}" for i in range(40)],
        sources=["a", "b"] * 20,
    )


def test_the_dear_objective_is_fitted_on_the_survivors_alone(bench, pool):
    SEEN.clear()
    kept = {}
    context = Context(keep=lambda name, make: kept.setdefault(name, make()))
    problem = Problem(pool, Deferred(Dear(), pool, context), Budget(5), context)
    picks = TwoStage(prefilter=CHEAP, keep=10, solver=TopN()).solve(problem)
    survivors = np.argsort(-pool.quality["cheap"])[:10]
    expected = survivors[np.argsort(-pool.quality["dear"][survivors])[:5]]
    assert picks.rows.tolist() == expected.tolist()
    assert SEEN == [10] and list(kept) == ["survivors-scores"]
    assert picks.facts["survivors"] == 10 and picks.terms["dear"].tolist() == pool.quality["dear"][expected].tolist()


def test_keeping_everything_is_the_second_stage_alone(bench, pool):
    f = Modular("dear", pool.quality["dear"])
    both = TwoStage(prefilter=CHEAP, keep="100%", solver=Greedy()).solve(bench.problem(pool, f, 9))
    assert both.rows.tolist() == Greedy().solve(bench.problem(pool, f, 9)).rows.tolist()


def test_floors_and_chosen_rows_survive_the_first_stage(bench, pool):
    f = Modular("dear", pool.quality["dear"])
    chosen = np.argsort(pool.quality["cheap"])[:3]
    picks = TwoStage(prefilter=CHEAP, keep=12, solver=TopN()).solve(
        bench.problem(pool, f, 8, floors={"b": 0.75}, chosen=chosen)
    )
    assert (pool.sources[picks.rows] == 1).sum() >= 6
    assert not set(picks.rows) & set(chosen) and len(picks.rows) == 8 and picks.facts["survivors"] == 15


def test_too_few_survivors_are_refused(bench, pool):
    with pytest.raises(InputError, match="the budget is 9 documents, but only 4 remain"):
        TwoStage(prefilter=CHEAP, keep="10%", solver=TopN()).solve(
            bench.problem(pool, Modular("dear", pool.quality["dear"]), 9)
        )


def test_a_subpool_is_the_pool_of_its_documents(pool):
    rows = np.array([2, 3, 17, 39])
    part = subpool(pool, rows)
    assert [part.name_of(i) for i in range(4)] == ["doc2", "doc3", "doc17", "doc39"]
    np.testing.assert_array_equal(part.features[np.arange(4)], pool.features[rows])
    np.testing.assert_array_equal(part.features[1:3], pool.features[rows[1:3]])
    assert [(block.start, texts) for block, texts in part.texts()] == [(0, [f"text {i}" for i in rows])]
    assert part.keys.tolist() == pool.keys[rows].tolist() and part.features.shape == (4, 3)


def test_a_restricted_function_is_the_function_of_its_rows(bench):
    pool, rows = bench.pool(20), np.array([1, 4, 5, 11, 12, 19])
    f = bench.joint(pool)
    part, sets = Restricted(f, rows), np.array([[0, 2, 5], [1, 3, 4]])
    np.testing.assert_allclose(part.evaluate(sets), f.evaluate(rows[sets]))
    np.testing.assert_allclose(part.evaluate(np.array([[0, 1]]), np.array([2, 5])), f.evaluate(rows[[[2, 5]]]))
    np.testing.assert_allclose(part.climb(None, 3).gains(), f.climb(rows, 3).gains())
    members = np.isin(np.arange(6), sets[0]).astype(float)
    assert part.relax(3).value(members) == pytest.approx(float(part.evaluate(sets[:1])[0]))
    np.testing.assert_allclose(
        part.relax(3).gradient(members), f.relax(3).gradient(np.isin(np.arange(20), rows[sets[0]]).astype(float))[rows]
    )
    assert part.names == f.names and part.scores() is None


def test_a_fitted_function_is_not_fitted_again(pool):
    SEEN.clear()
    function = Deferred(Dear(), pool, Context())
    assert not function.fitted
    assert function.scores() is not None and function.fitted
    assert isinstance(restrict(function, np.array([1, 2])), Restricted)
    assert SEEN == [40]


@pytest.mark.parametrize(
    "solver", [Greedy(), FrankWolfe(), MaskPolicyGradient(steps=5, batch_fraction=1)], ids=lambda s: s.kind
)
def test_a_sum_keeps_its_columns_through_both_stages(bench, pool, solver):
    objective = Weighted(
        terms=(Term(weight=0.3, objective=Quality(column="dear")), Term(weight=0.7, objective=Pairwise()))
    )
    problem = bench.problem(pool, Deferred(objective, pool, Context()), 6)
    for picks in (solver.solve(problem), TwoStage(prefilter=CHEAP, keep=15, solver=solver).solve(problem)):
        assert list(picks.terms) == ["quality", "pairwise"]
        np.testing.assert_allclose(picks.terms["quality"], pool.quality["dear"][picks.rows] / 6)
        np.testing.assert_allclose(
            picks.scores, 0.3 * picks.terms["quality"] + 0.7 * picks.terms["pairwise"], atol=1e-6
        )


def test_keeping_everything_on_top_of_a_selection_is_the_second_stage_alone(bench, pool):
    f = Modular("dear", pool.quality["dear"])
    problem = bench.problem(pool, f, 9, chosen=range(0, 20, 2))
    both = TwoStage(prefilter=CHEAP, keep="100%", solver=Greedy()).solve(problem)
    assert both.rows.tolist() == Greedy().solve(problem).rows.tolist() and both.facts["survivors"] == 40


def test_a_share_is_of_what_the_prefilter_does_not_exclude(bench, pool):
    class Half(Objective):
        kind: Literal["half"] = "half"

        def fit(self, pool, context):
            return Modular("half", np.where(np.arange(len(pool)) < 20, -np.inf, 0.0))

    f = Modular("dear", pool.quality["dear"])
    stages = TwoStage.model_construct(prefilter=Half(), keep="100%", solver=TopN())
    picks = stages.solve(bench.problem(pool, f, 5))
    assert picks.facts["survivors"] == 20 and picks.rows.min() >= 20


def test_a_floor_that_its_source_can_fill_is_no_reason_to_refuse_a_wider_first_stage(bench):
    """10 documents of "rare", half of a budget of 12: the first stage keeps 30, of which half would be 15."""
    random = np.random.default_rng(0)
    pool = Pool.from_arrays(
        quality={"cheap": np.arange(60.0), "dear": random.random(60)}, sources=["rare"] * 10 + ["common"] * 50
    )
    picks = TwoStage(prefilter=CHEAP, keep=30, solver=TopN()).solve(
        bench.problem(pool, Modular("dear", pool.quality["dear"]), 12, floors={"rare": 0.5})
    )
    assert (picks.rows < 10).sum() >= 6 and picks.facts["survivors"] == 30


def test_what_the_stages_keep_never_meets_even_for_equal_parts(bench, pool):
    """In a joint selection the main objective was fitted on more documents than the prefilter sees."""
    kept = {}

    def keep(name, make):
        if name not in kept:
            kept[name] = make()
        return kept[name]

    context = Context(keep=keep)
    part = Prototypes(clusters=3)
    rows = np.arange(10, 40)
    f = restrict(part.fit(pool, context), rows)
    picks = TwoStage(prefilter=part, keep=12, solver=TopN()).solve(Problem(subpool(pool, rows), f, Budget(5), context))
    fresh = part.fit(subpool(pool, rows), Context()).scores()
    assert set(picks.rows) <= set(np.argsort(-fresh)[:12])


def test_what_the_first_stage_cannot_keep_is_named_by_its_field(bench, pool):
    with pytest.raises(InputError, match=r"^solver.keep: 50 is 50 documents, but the pool has only 40"):
        TwoStage(prefilter=CHEAP, keep=50, solver=TopN()).solve(bench.problem(pool, bench.joint(bench.pool(40)), 3))
