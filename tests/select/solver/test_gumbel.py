import numpy as np
import pytest
from scipy.stats import chisquare

from harmonia.core.seeds import gumbels
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular
from harmonia.select.solver.gumbel import Gumbel
from harmonia.select.solver.top_n import TopN


def test_temperature_zero_is_top_n(bench):
    pool = bench.pool(50)
    problem = bench.problem(pool, bench.quality(pool), 12)
    cold, top = Gumbel(temperature=0).solve(problem), TopN().solve(problem)
    assert cold.rows.tolist() == top.rows.tolist() and cold.scores.tolist() == top.scores.tolist()


def test_budgets_are_nested(bench):
    pool = bench.pool(50)
    small, large = (
        Gumbel(temperature=2).solve(bench.problem(pool, bench.quality(pool), k)).rows.tolist() for k in (5, 20)
    )
    assert large[:5] == small


def test_a_high_temperature_is_the_random_choice(bench):
    pool = bench.pool(50)
    hot = Gumbel(temperature=1e9).solve(bench.problem(pool, bench.quality(pool), 10))
    flat = Gumbel().solve(bench.problem(pool, Modular("constant", np.zeros(50)), 10))
    assert hot.rows.tolist() == flat.rows.tolist()


def test_a_constant_score_draws_uniformly():
    pool = Pool.from_arrays(quality=np.zeros(10))
    from harmonia.select.budget import Budget
    from harmonia.select.context import Context
    from harmonia.select.solver.base import Problem

    f = Modular("constant", np.zeros(10))
    drawn = [Gumbel().solve(Problem(pool, f, Budget(2), Context(seed=s))).rows for s in range(1500)]
    assert chisquare(np.bincount(np.concatenate(drawn), minlength=10)).pvalue > 1e-3


def test_log_weights_are_drawn_as_they_are(bench):
    """DSIR: log w + Gumbel, without normalisation."""
    pool = bench.pool(50)
    weights = np.random.default_rng(0).normal(size=50) * 7
    picks = Gumbel(normalise=False).solve(bench.problem(pool, Modular("dsir", weights), 9))
    keys = weights + gumbels(pool.keys, 0, "gumbel")
    assert picks.rows.tolist() == np.argsort(-keys)[:9].tolist()
    assert picks.scores.tolist() == weights[picks.rows].tolist()


@pytest.mark.parametrize("scale", [3.0, 0.01])
def test_normalised_scores_have_no_unit(bench, scale):
    pool = bench.pool(50)
    plain, scaled = (
        Gumbel(temperature=1).solve(bench.problem(pool, Modular("q", s * pool.quality["quality"] + s), 9))
        for s in (1, scale)
    )
    assert plain.rows.tolist() == scaled.rows.tolist()


def test_an_objective_over_sets_is_refused(bench):
    from harmonia.core.errors import InputError

    pool = bench.pool(10)
    with pytest.raises(InputError, match=r"solver gumbel ranks documents .* quality\+pairwise judges whole sets"):
        Gumbel().solve(bench.problem(pool, bench.joint(pool), 3))
