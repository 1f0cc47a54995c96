import itertools

import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.select.context import Context
from harmonia.select.objective.decorrelation import Decorrelation
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular, SetFunction, WeightedSum
from harmonia.select.solver.frank_wolfe import FrankWolfe
from harmonia.select.solver.greedy import Greedy


@pytest.mark.parametrize("seed", range(6))
def test_the_bound_is_above_every_subset(bench, seed):
    pool = bench.pool(12, seed)
    for f in (
        bench.joint(pool),
        WeightedSum([0.2, 0.8], [bench.quality(pool), Decorrelation().fit(pool, Context(dtype=np.float64))]),
    ):
        best = f.evaluate(np.array(list(itertools.combinations(range(12), 4)))).max()
        facts = FrankWolfe().solve(bench.problem(pool, f, 4)).facts
        assert best <= facts["bound"] + 1e-9
        assert facts["value"] <= best + 1e-9
        assert facts["gap"] == pytest.approx(facts["bound"] - facts["value"])


def mixture(seed, n=4000, d=64):
    random = np.random.default_rng(seed)
    weights, centres = random.dirichlet(np.full(20, 0.5)), random.normal(size=(20, d))
    label = random.choice(20, n, p=weights)
    X = centres[label] + random.normal(size=(n, d))
    quality = 1 / (1 + np.exp(-(centres[label, 0] + 0.7 * random.normal(size=n))))
    return Pool.from_arrays(X.astype(np.float32), quality=quality)


@pytest.mark.parametrize("seed", range(3))
def test_large_pools_are_solved_to_a_certificate_that_greedy_nearly_reaches(bench, seed):
    pool = mixture(seed)
    f = bench.joint(pool, 0.3, np.float32)
    found = FrankWolfe().solve(bench.problem(pool, f, 400))
    value, greedy = (float(f.evaluate(p.rows[None])[0]) for p in (found, Greedy().solve(bench.problem(pool, f, 400))))
    assert found.facts["value"] == pytest.approx(value, abs=1e-6)
    assert value >= greedy - 1e-4
    assert found.facts["gap"] < 1e-4
    assert greedy <= found.facts["bound"]


def test_equal_embeddings_leave_the_choice_to_quality(bench):
    pool = Pool.from_arrays(np.ones((20, 3)), quality=np.random.default_rng(0).random(20))
    f = bench.joint(pool)
    picks = FrankWolfe().solve(bench.problem(pool, f, 5))
    assert sorted(picks.rows) == sorted(np.argsort(-pool.quality["quality"])[:5])
    assert float(f.terms[1].evaluate(picks.rows[None])[0]) == pytest.approx(0, abs=1e-12)


def test_scores_are_marginal_values_that_add_up_over_the_terms(bench):
    pool = bench.pool(30)
    picks = FrankWolfe().solve(bench.problem(pool, bench.joint(pool), 8))
    np.testing.assert_allclose(picks.scores, 0.3 * picks.terms["quality"] + 0.7 * picks.terms["pairwise"], atol=1e-12)
    np.testing.assert_allclose(picks.terms["quality"], pool.quality["quality"][picks.rows] / 8)


def test_continuing_certifies_every_set_that_holds_what_is_chosen(bench):
    pool = bench.pool(12)
    f, chosen = bench.joint(pool), [3, 8]
    picks = FrankWolfe().solve(bench.problem(pool, f, 3, chosen=chosen))
    others = [i for i in range(12) if i not in chosen]
    values = f.evaluate(np.array([[*chosen, *s] for s in itertools.combinations(others, 3)]))
    assert values.max() <= picks.facts["bound"] + 1e-9
    assert picks.facts["value"] == pytest.approx(float(f.evaluate(np.array([[*chosen, *picks.rows]]))[0]))


def test_a_token_budget_has_no_certificate(bench):
    pool = bench.pool(30)
    facts = FrankWolfe().solve(bench.problem(pool, bench.joint(pool), 200, "tokens")).facts
    assert set(facts) == {"iterations", "fractional"}


def test_too_few_allowed_documents_are_counted(bench):
    pool = bench.pool(10)
    f = Modular("quality", np.where(np.arange(10) < 3, 1.0, -np.inf))
    with pytest.raises(InputError, match="only 3 remain among 3 documents .the objective excludes 7 of 10 documents"):
        FrankWolfe().solve(bench.problem(pool, f, 4))


def test_an_objective_without_a_relaxation_is_refused(bench):
    class Opaque(SetFunction):
        n, names = 10, ("opaque",)

        def climb(self, rows, size):
            raise NotImplementedError

    with pytest.raises(InputError, match="opaque has no concave relaxation; use solver greedy"):
        FrankWolfe().solve(bench.problem(bench.pool(10), Opaque(), 4))


def test_a_convex_term_has_no_certificate(bench):
    """The line step and the bound hold for concave objectives alone; a document's own score may have any sign."""
    pool = bench.pool(12)
    diversity = bench.joint(pool).terms[1]
    with pytest.raises(InputError, match="pairwise with the weight -1 is convex and has no certificate; use solver"):
        FrankWolfe().solve(bench.problem(pool, WeightedSum([1, -1], [bench.quality(pool), diversity]), 4))
    picks = FrankWolfe().solve(bench.problem(pool, WeightedSum([-1, 1e-9], [bench.quality(pool), diversity]), 4))
    assert sorted(picks.rows) == sorted(np.argsort(pool.quality["quality"])[:4])
