"""SemDeDup, D4 and prototypes: the objectives that look at clusters of the pool."""

import itertools

import numpy as np
import pytest
from pydantic import ValidationError

from harmonia.core.errors import InputError
from harmonia.core.seeds import uniforms
from harmonia.maths.quotas import bounded_top, quotas
from harmonia.select.clusters import pool_clusters
from harmonia.select.context import Context
from harmonia.select.objective.d4 import D4
from harmonia.select.objective.prototypes import Prototypes
from harmonia.select.objective.semdedup import SemDeDup
from harmonia.select.pool import Pool


def fit(pool, part, **context):
    return part.fit(pool, Context(**context)).scores()


def gaussian(n=200, d=16, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def chain():
    gram = np.array([[1, 0.97, 0.89], [0.97, 1, 0.97], [0.89, 0.97, 1]])
    return np.linalg.cholesky(gram)


def kept(scores):
    return np.flatnonzero(np.isfinite(scores)).tolist()


def test_the_chain_keeps_one_end_or_both():
    pool = Pool.from_arrays(chain())
    # a, b, c in turn: only the official rule lets b, itself removed, remove c
    seed = next(s for s in range(100) if (np.diff(uniforms(pool.keys, s, "semdedup")) > 0).all())
    assert kept(fit(pool, SemDeDup(eps=0.05, clusters=1, order="random"), seed=seed)) == [0]
    assert kept(fit(pool, SemDeDup(eps=0.05, clusters=1, order="random", rule="independent"), seed=seed)) == [0, 2]
    # b is nearest to the centroid: last under "hard", when both ends stand; first under "easy", when both fall
    for rule in ("official", "independent"):
        assert kept(fit(pool, SemDeDup(eps=0.05, clusters=1, order="hard", rule=rule))) == [0, 2]
        assert kept(fit(pool, SemDeDup(eps=0.05, clusters=1, order="easy", rule=rule))) == [1]


def test_the_budget_chooses_eps():
    pool = Pool.from_arrays(gaussian())
    ranked = fit(pool, SemDeDup())
    assert np.isfinite(ranked).all()
    for k in (50, 120, 180):
        by_keep = fit(pool, SemDeDup(keep=k / 200))
        assert sorted(bounded_top(ranked, k).tolist()) == kept(by_keep)


def test_eps_two_keeps_one_document_per_cluster_and_larger_eps_removes_more():
    pool = Pool.from_arrays(gaussian())
    clusters = pool_clusters(pool, Context(), count=6, iterations=20, what="test")
    last = kept(fit(pool, SemDeDup(eps=2, clusters=6)))
    assert sorted(clusters.labels[last]) == sorted(set(clusters.labels.tolist()))
    sizes = [set(kept(fit(pool, SemDeDup(eps=eps, clusters=6)))) for eps in (0, 0.2, 0.5, 1, 2)]
    assert len(sizes[0]) == 200
    assert all(small >= large for small, large in itertools.pairwise(sizes))
    assert len(sizes[0]) > len(sizes[2]) > len(sizes[4])


@pytest.mark.parametrize("order", ["hard", "easy", "random"])
@pytest.mark.parametrize("rule", ["official", "independent"])
def test_injected_copies_are_removed_and_one_of_each_stays(order, rule):
    x = gaussian(100)
    pool = Pool.from_arrays(np.concatenate([x, x[:20]]))
    found = kept(fit(pool, SemDeDup(eps=1e-4, clusters=4, order=order, rule=rule)))
    assert sorted(i % 100 for i in found) == list(range(100))


def test_hard_order_keeps_the_farther_of_two_near_documents():
    centre = np.array([1.0, 0, 0])
    x = np.array([[1, 0.1, 0], [1, 0.2, 0], [1, -0.4, 0.1], [1, 0, -0.4]]) * 1.0
    cosine = (x @ centre) / np.linalg.norm(x, axis=1)
    assert cosine[0] > cosine[1]
    pool = Pool.from_arrays(x)
    assert 1 in kept(fit(pool, SemDeDup(eps=0.01, clusters=1, order="hard")))
    assert 0 in kept(fit(pool, SemDeDup(eps=0.01, clusters=1, order="easy")))
    assert 0 not in kept(fit(pool, SemDeDup(eps=0.01, clusters=1, order="hard")))


def test_neither_order_of_rows_nor_storage_type_of_equal_values_matters():
    x = gaussian().astype(np.float16)
    order = np.random.default_rng(1).permutation(200)
    ids = [str(i) for i in range(200)]
    for part in (SemDeDup(), D4(), Prototypes(), Prototypes(balance="equal")):
        scores = fit(Pool.from_arrays(x, ids=ids), part)
        moved = fit(Pool.from_arrays(x[order], ids=[ids[i] for i in order]), part)
        np.testing.assert_allclose(moved, scores[order], atol=1e-6)
        np.testing.assert_array_equal(fit(Pool.from_arrays(x.astype(np.float32), ids=ids), part), scores)


def test_d4_keeps_the_share_without_duplicates_and_scores_new_clusters():
    pool = Pool.from_arrays(gaussian())
    scores = fit(pool, D4(dedup=0.6, clusters=5))
    rows = np.array(kept(fit(pool, SemDeDup(keep=0.6, clusters=5))))
    assert kept(scores) == rows.tolist()
    assert len(rows) == 120
    again = pool_clusters(pool, Context(), count=5, iterations=20, what="test", rows=rows)
    np.testing.assert_allclose(scores[rows], 1 - again.similarity, atol=1e-7)


def test_d4_without_duplicate_removal_is_prototypes():
    pool = Pool.from_arrays(gaussian())
    np.testing.assert_allclose(fit(pool, D4(dedup=1, clusters=7)), fit(pool, Prototypes(clusters=7)), atol=1e-7)


def test_prototypes_hard_is_the_distance_to_the_own_centroid_and_easy_its_negative():
    pool = Pool.from_arrays(gaussian())
    clusters = pool_clusters(pool, Context(), count=4, iterations=20, what="test")
    unit = pool.features / np.linalg.norm(pool.features, axis=1, keepdims=True)
    distance = 1 - np.einsum("nd,nd->n", unit, clusters.centroids[clusters.labels])
    np.testing.assert_allclose(fit(pool, Prototypes(clusters=4)), distance, atol=1e-6)
    np.testing.assert_allclose(fit(pool, Prototypes(clusters=4, prefer="easy")), -distance, atol=1e-6)


@pytest.mark.parametrize("prefer", ["hard", "easy"])
def test_balance_equal_takes_turns_as_equal_quotas_do(prefer):
    rng = np.random.default_rng(0)
    sizes = np.array([70, 20, 6])
    x = np.repeat(np.eye(8)[:3], sizes, axis=0) + 0.1 * rng.normal(size=(96, 8))
    pool = Pool.from_arrays(x)
    labels = pool_clusters(pool, Context(), count=3, iterations=20, what="test").labels
    plain = fit(pool, Prototypes(clusters=3, prefer=prefer))
    for k in (3, 9, 30, 60):
        picks = bounded_top(fit(pool, Prototypes(clusters=3, prefer=prefer, balance="equal")), k)
        counts = np.bincount(labels[picks], minlength=3)
        assert sorted(counts) == sorted(quotas(np.ones(3), np.bincount(labels), k))
        for c in range(3):
            inside = np.flatnonzero(labels == c)
            best = inside[np.argsort(-plain[inside], kind="stable")[: counts[c]]]
            assert set(best) == set(picks[labels[picks] == c])


def test_balance_proportional_follows_the_sizes():
    x = np.repeat(np.eye(8)[:3], [60, 30, 10], axis=0) + 0.1 * np.random.default_rng(0).normal(size=(100, 8))
    pool = Pool.from_arrays(x)
    labels = pool_clusters(pool, Context(), count=3, iterations=20, what="test").labels
    picks = bounded_top(fit(pool, Prototypes(clusters=3, balance="proportional")), 20)
    assert sorted(np.bincount(labels[picks])) == [2, 6, 12]


def test_zero_vectors_are_excluded_and_the_first_is_named():
    x = gaussian(50)
    x[[7, 9]] = 0
    for part in (SemDeDup(), D4(), Prototypes()):
        said = []
        scores = fit(Pool.from_arrays(x), part, warn=said.append)
        assert np.isneginf(scores[[7, 9]]).all()
        assert "excludes 2 of 50 documents whose features are zero (the first: '7')" in said[0]
    with pytest.raises(InputError, match="features of all 5 documents are zero"):
        fit(Pool.from_arrays(np.zeros((5, 2))), SemDeDup())


def test_clusters_of_one_pool_are_fitted_once():
    store = {}

    def keep(name, make):
        if name not in store:
            store[name] = make()
        return store[name]

    pool = Pool.from_arrays(gaussian())
    fit(pool, SemDeDup(clusters=5), keep=keep)
    fit(pool, Prototypes(clusters=5), keep=keep)
    assert sum(name.startswith("clusters-") for name in store) == 1
    fit(pool, SemDeDup(clusters=5, order="easy"), keep=keep)
    assert len(store) == 3


def test_bad_settings_and_bad_pools_are_named():
    with pytest.raises(ValidationError, match="less than or equal to 2"):
        SemDeDup(eps=2.1)
    with pytest.raises(ValidationError, match="either eps or keep"):
        SemDeDup(eps=0.1, keep=0.5)
    with pytest.raises(ValidationError, match="keep needs the official rule"):
        SemDeDup(keep=0.5, rule="independent")
    with pytest.raises(InputError, match="semdedup: 9 clusters for 3 documents; lower it"):
        fit(Pool.from_arrays(np.eye(3)), SemDeDup(clusters=9))
    with pytest.raises(InputError, match="prototypes needs feature vectors"):
        fit(Pool.from_arrays(texts=["a"]), Prototypes())
    x = gaussian(20)
    x[3, 0] = np.inf
    with pytest.raises(InputError, match="features of row 3 are not finite"):
        fit(Pool.from_arrays(x), D4())


def test_documents_without_a_direction_do_not_count_among_those_that_stay():
    x = gaussian(100)
    x[:40] = 0
    scores = fit(Pool.from_arrays(x), SemDeDup(keep=0.5, clusters=3))
    assert len(kept(scores)) == 50 and min(kept(scores)) >= 40
