import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.core.seeds import gumbels
from harmonia.select.budget import Budget
from harmonia.select.context import Context
from harmonia.select.objective import Dsir, Term, Weighted
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular, WeightedSum
from harmonia.select.solver import Greedy, Gumbel, PerTerm, TopN
from harmonia.select.solver.base import Problem

RNG = np.random.default_rng(0)
WORDS = {
    "law": ["court", "appeal", "judge", "held", "the"],
    "code": ["def", "return", "import", "for", "the"],
    "sea": ["wave", "sail", "salt", "tide", "the"],
}
TEXTS = [" ".join(RNG.choice(words, 120)) for words in WORDS.values() for _ in range(20)]


def dsir(name):
    return Dsir(target_texts=(" ".join(WORDS[name]),), buckets=500)


def test_several_targets_of_dsir_have_a_model_and_a_quota_each():
    pool = Pool.from_arrays(texts=TEXTS)
    parts = Weighted(terms=(Term(weight=300, objective=dsir("law")), Term(weight=100, objective=dsir("sea"))))
    f = parts.fit(pool, Context(seed=3))
    solver = PerTerm(solver=Gumbel(temperature=1, normalise=False))
    picks = solver.solve(Problem(pool, f, Budget(16), Context(seed=3)))
    assert picks.batches.tolist() == [0] * 12 + [1] * 4
    assert (picks.rows[:12] < 20).all() and (picks.rows[12:] >= 40).all()
    noise = gumbels(pool.keys, 3, "gumbel")
    for t, name in enumerate(("law", "sea")):
        alone = dsir(name).fit(pool, Context()).scores()
        mine = picks.rows[picks.batches == t]
        assert mine.tolist() == np.argsort(-(alone + noise))[: len(mine)].tolist()
        assert picks.scores[picks.batches == t].tolist() == alone[mine].tolist()
    assert list(picks.terms) == ["dsir", "dsir-2"]
    assert picks.terms["dsir-2"].tolist() == f.terms[1].scores()[picks.rows].tolist()


def test_a_document_that_two_terms_want_is_taken_once():
    scores = np.array([5.0, 4, 3, 2, 1])
    f = WeightedSum([1, 1], [Modular("a", scores), Modular("b", 10 * scores)])
    picks = PerTerm(solver=TopN()).solve(Problem(Pool.from_arrays(quality=scores), f, Budget(4)))
    assert picks.rows.tolist() == [0, 1, 2, 3] and picks.scores.tolist() == [5, 4, 30, 20]


def test_one_term_is_its_solver_alone_and_weight_zero_takes_nothing(bench):
    pool = bench.pool(30)
    f = bench.joint(pool)
    alone = WeightedSum([0, 2], f.terms)
    picks = PerTerm(solver=Greedy()).solve(bench.problem(pool, alone, 7))
    assert picks.rows.tolist() == Greedy().solve(bench.problem(pool, f.terms[1], 7)).rows.tolist()
    assert list(picks.terms) == ["quality", "pairwise"] and (picks.batches == 1).all()


def test_later_terms_build_on_earlier_picks_and_bounds_bind_every_part(bench):
    pool = bench.pool(60)
    f = bench.joint(pool, 0.5)
    picks = PerTerm(solver=Greedy()).solve(bench.problem(pool, f, 20, floors={"s0": 0.5}, ceilings={"s1": 0.2}))
    assert len(np.unique(picks.rows)) == 20
    per_source = np.bincount(pool.sources[picks.rows], minlength=3)
    assert per_source[0] >= 10 and per_source[1] <= 4
    after = Greedy().solve(
        bench.problem(pool, f.terms[1], 10, chosen=picks.rows[:10], floors={"s0": 0.5}, ceilings={"s1": 0.2})
    )
    assert picks.rows[10:].tolist() == after.rows.tolist()


def test_tokens_end_with_the_document_that_reaches_the_budget(bench):
    pool = bench.pool(60)
    own = pool.quality["quality"]
    f = WeightedSum([1, 2, 1], [Modular("a", own), Modular("b", -own), Modular("c", own)])
    picks = PerTerm(solver=TopN()).solve(bench.problem(pool, f, 400, "tokens"))
    costs = pool.tokens[picks.rows]
    assert costs.sum() >= 400 > costs[:-1].sum()
    for t, share in enumerate((100, 300, 400)):
        upto = costs[picks.batches <= t]
        assert upto.sum() >= share > upto[:-1].sum()


@pytest.mark.parametrize("weights", [[1, -1], [0, 0]])
def test_weights_that_are_no_shares_are_refused(bench, weights):
    pool = bench.pool(10)
    f = WeightedSum(weights, [bench.quality(pool), bench.quality(pool)])
    with pytest.raises(InputError, match=r"give weights of at least 0, not all of them 0"):
        PerTerm(solver=TopN()).solve(bench.problem(pool, f, 4))
