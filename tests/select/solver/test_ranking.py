"""Top-n, threshold and stratified: choices by a score of each document."""

import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular, WeightedSum
from harmonia.select.solver.gumbel import Gumbel
from harmonia.select.solver.stratified import Stratified
from harmonia.select.solver.threshold import Threshold
from harmonia.select.solver.top_n import TopN


def test_ties_are_decided_by_ids_whatever_the_order_with_a_warning_when_all_are_equal(bench):
    pool, said = bench.pool(9), []
    picks = TopN().solve(bench.problem(pool, Modular("q", np.ones(9)), 3, warn=said.append))
    assert picks.rows.tolist() == np.argsort(pool.keys)[:3].tolist()
    assert said == ["all documents have the same score; which ones are taken is decided by their ids alone"]
    order = np.array([4, 2, 8, 0, 6, 1, 7, 3, 5])
    again = TopN().solve(bench.problem(bench.permuted(pool, order), Modular("q", np.ones(9)), 3, warn=said.append))
    assert order[again.rows].tolist() == picks.rows.tolist()


def test_ties_of_plain_arrays_go_to_the_lowest_row(bench):
    pool = Pool.from_arrays(quality=np.ones(9))
    assert TopN().solve(bench.problem(pool, Modular("q", np.ones(9)), 3)).rows.tolist() == [0, 1, 2]


def test_a_weighted_sum_of_scores_has_a_column_per_term(bench):
    pool = bench.pool(9)
    a, b = Modular("a", np.arange(9.0)), Modular("b", -2 * np.arange(9.0))
    picks = TopN().solve(bench.problem(pool, WeightedSum([1, 0.6], [a, b]), 2))
    assert picks.rows.tolist() == [0, 1]
    assert picks.terms["a"].tolist() == [0, 1] and picks.terms["b"].tolist() == [0, -2]
    np.testing.assert_allclose(picks.scores, [0, -0.2])


def test_scores_that_are_not_numbers_name_the_document(bench):
    pool = bench.pool(4)
    f = bench.quality(pool)
    f._scores = np.array([1, 2, np.nan, 3])
    with pytest.raises(InputError, match=r"the score of document 'doc2' is nan \(1 of 4\)"):
        TopN().solve(bench.problem(pool, f, 2))


def test_the_threshold_keeps_what_reaches_it_up_to_the_budget(bench):
    pool = Pool.from_arrays(quality=np.array([1.0, 4, 3, 2.5, 5]))
    f = Modular("edu", pool.quality["quality"])
    picks = Threshold(least=2.5).solve(bench.problem(pool, f, 5))
    assert picks.rows.tolist() == [4, 1, 2, 3] and picks.facts["passing"] == 4
    assert Threshold(least=2.5).solve(bench.problem(pool, f, 2)).rows.tolist() == [4, 1]
    with pytest.raises(InputError, match=r"no document reaches solver.least=6; the highest score is 5"):
        Threshold(least=6).solve(bench.problem(pool, f, 2))


def test_a_floor_that_the_threshold_leaves_empty_is_refused(bench):
    pool = Pool.from_arrays(quality=np.array([5.0, 4, 1, 1]), sources=["a", "a", "b", "b"])
    with pytest.raises(InputError, match="the floor of 'b' is 1 documents, but only 0 can be picked there"):
        Threshold(least=2).solve(bench.problem(pool, Modular("q", pool.quality["quality"]), 2, floors={"b": 0.5}))


def sources(sizes):
    names = [name for name, n in sizes.items() for _ in range(n)]
    return Pool.from_arrays(quality=np.random.default_rng(0).random(len(names)), sources=names)


@pytest.mark.parametrize(("alpha", "expected"), [(0.0, [4, 2]), (1.0, [5, 1])])
def test_quotas_are_water_filled(bench, alpha, expected):
    pool = sources({"a": 10, "b": 2})
    picks = Stratified(alpha=alpha).solve(bench.problem(pool, bench.quality(pool), 6))
    assert np.bincount(pool.sources[picks.rows]).tolist() == expected
    assert picks.batches.tolist() == pool.sources[picks.rows].tolist()


def test_tempered_quotas(bench):
    pool = sources({"a": 160, "b": 40})
    picks = Stratified(alpha=0.5).solve(bench.problem(pool, bench.quality(pool), 30))
    assert np.bincount(pool.sources[picks.rows]).tolist() == [20, 10]


def test_a_quota_above_its_stratum_is_refused_without_redistribution(bench):
    pool = sources({"a": 10, "b": 2})
    with pytest.raises(InputError, match="the quota of 'b' is 3 documents, but it holds only 2"):
        Stratified(alpha=0, redistribute=False).solve(bench.problem(pool, bench.quality(pool), 6))


def test_inside_a_stratum_temperature_zero_takes_the_best(bench):
    pool = sources({"a": 30, "b": 20})
    q = pool.quality["quality"]
    picks = Stratified(temperature=0).solve(bench.problem(pool, bench.quality(pool), 10))
    assert picks.rows.tolist() == [*np.argsort(-q[:30])[:6], *(30 + np.argsort(-q[30:])[:4])]


def test_clusters_of_the_features_are_balanced(bench):
    random = np.random.default_rng(0)
    X = np.repeat(np.eye(4), [70, 10, 10, 10], axis=0) + 0.01 * random.normal(size=(100, 4))
    pool = Pool.from_arrays(X)
    f = Modular("constant", np.zeros(100))
    picks = Stratified(strata="cluster", clusters=4, alpha=0).solve(bench.problem(pool, f, 20))
    assert np.bincount(np.repeat(np.arange(4), [70, 10, 10, 10])[picks.rows]).tolist() == [5, 5, 5, 5]


def test_token_quotas_are_in_tokens(bench):
    pool = bench.pool(300, sources=2)
    picks = Stratified(alpha=0).solve(bench.problem(pool, bench.quality(pool), 2000, "tokens"))
    tokens = np.bincount(pool.sources[picks.rows], weights=pool.tokens[picks.rows])
    assert np.abs(tokens - 1000).max() < 50 and 2000 <= tokens.sum() < 2050


def test_ratings_drawn_within_domains_split_the_tokens_in_proportion(bench):
    """QuRating with a domain field: the draws of qurating inside each source, up to the source's part of the tokens."""
    pool = bench.pool(90)
    problem = bench.problem(pool, bench.quality(pool), 600, "tokens")
    picks = Stratified(temperature=2).solve(problem)
    everything = bench.problem(pool, bench.quality(pool), 90)
    drawn = Gumbel(temperature=2).solve(everything).rows
    held = np.bincount(pool.sources, weights=pool.tokens)
    for source in range(3):
        own = picks.rows[pool.sources[picks.rows] == source]
        assert own.tolist() == drawn[pool.sources[drawn] == source][: len(own)].tolist()
        # a document that crosses the part of its source is charged to the next
        assert abs(pool.tokens[own].sum() - 600 * held[source] / held.sum()) < 50
