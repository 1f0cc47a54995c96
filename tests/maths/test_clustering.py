import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.core.seeds import stable_hash
from harmonia.maths import clustering
from harmonia.maths.clustering import spherical_kmeans, unit_rows
from harmonia.maths.rows import Rows


def blobs(n=300, d=8, k=5, noise=0.15, seed=0):
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.normal(size=(d, d)))[0][:k]
    truth = np.repeat(np.arange(k), n // k)
    return (centres[truth] + noise * rng.normal(size=(n, d))).astype(np.float32), truth


def keys_of(n):
    return stable_hash(str(i) for i in range(n))


def test_separated_clusters_are_found_exactly():
    x, truth = blobs()
    found = spherical_kmeans(x, 5, keys=keys_of(len(x)))
    assert len(set(zip(truth.tolist(), found.labels.tolist(), strict=True))) == 5


def test_the_result_is_a_fixed_point_of_lloyds_iteration():
    x, _ = blobs(noise=0.6)
    found = spherical_kmeans(x, 7, keys=keys_of(len(x)), iterations=100)
    unit = unit_rows(x).astype(np.float64)
    cosines = unit @ found.centroids.T.astype(np.float64)
    assert (cosines.argmax(axis=1) == found.labels).all()
    np.testing.assert_allclose(found.similarity, cosines.max(axis=1), atol=1e-6)
    for c in range(7):
        mean = unit[found.labels == c].sum(axis=0)
        np.testing.assert_allclose(found.centroids[c], mean / np.linalg.norm(mean), atol=1e-5)


def test_more_iterations_never_lower_the_objective():
    x, _ = blobs(noise=0.8, n=500)
    found = [spherical_kmeans(x, 6, keys=keys_of(500), iterations=t) for t in range(1, 12)]
    values = [clusters.similarity.sum(dtype=np.float64) for clusters in found]
    assert (np.diff(values) >= -1e-4).all()
    assert values[-1] > values[0]


def test_neither_the_order_of_the_rows_nor_shards_nor_blocks_change_the_clusters(monkeypatch):
    x, _ = blobs(noise=0.5)
    keys = keys_of(len(x))
    first = spherical_kmeans(x, 4, keys=keys)
    order = np.random.default_rng(1).permutation(len(x))
    moved = spherical_kmeans(x[order], 4, keys=keys[order])
    assert (moved.labels == first.labels[order]).all()
    sharded = spherical_kmeans(Rows([x[:77], x[77:]]), 4, keys=keys)
    assert (sharded.labels == first.labels).all()
    monkeypatch.setattr(clustering, "_CELLS", 1)
    small = spherical_kmeans(x, 4, keys=keys)
    assert (small.labels == first.labels).all()
    np.testing.assert_allclose(small.centroids, first.centroids, atol=1e-6)


def test_length_of_rows_does_not_matter():
    x, _ = blobs(noise=0.4)
    lengths = np.random.default_rng(2).uniform(0.1, 9, (len(x), 1)).astype(np.float32)
    keys = keys_of(len(x))
    assert (spherical_kmeans(x, 5, keys=keys).labels == spherical_kmeans(x * lengths, 5, keys=keys).labels).all()


def test_every_cluster_has_rows_even_from_a_start_that_repeats_one_direction():
    x = np.concatenate([np.tile([1.0, 0, 0], (97, 1)), np.eye(3)]).astype(np.float32)
    found = spherical_kmeans(x, 3, keys=keys_of(100))
    assert sorted(np.bincount(found.labels).tolist()) == [1, 1, 98]


def test_k_means_plus_plus_covers_rare_directions():
    # a random start of 10 centres misses a direction of 1 % of the rows more often than not
    x = np.repeat(np.eye(10, dtype=np.float32), [910, *[10] * 9], axis=0)
    found = spherical_kmeans(x, 10, keys=keys_of(1000), iterations=1)
    assert len(np.unique(found.labels)) == 10


def test_fewer_directions_than_clusters_end_without_error():
    x = np.tile([[1.0, 0], [0, 1]], (10, 1)).astype(np.float32)
    found = spherical_kmeans(x, 5, keys=keys_of(20))
    assert np.allclose(found.similarity, 1)


def test_zero_rows_belong_to_no_cluster_and_change_nothing():
    x, _ = blobs()
    keys = keys_of(len(x) + 2)
    with_zero = spherical_kmeans(np.concatenate([x, np.zeros((2, 8), np.float32)]), 5, keys=keys)
    assert with_zero.labels[-2:].tolist() == [-1, -1]
    assert with_zero.similarity[-2:].tolist() == [0, 0]
    assert (with_zero.labels[:-2] >= 0).all()


def test_a_subset_of_the_rows_is_the_same_as_those_rows_alone():
    x, _ = blobs(noise=0.5)
    keys, rows = keys_of(len(x)), np.arange(0, 300, 2)
    part = spherical_kmeans(x, 4, keys=keys, rows=rows)
    alone = spherical_kmeans(x[rows], 4, keys=keys[rows])
    assert (part.labels == alone.labels).all()


def test_seed_decides():
    x = np.random.default_rng(0).normal(size=(400, 16)).astype(np.float32)
    one, same, other = (spherical_kmeans(x, 8, keys=keys_of(400), seed=s) for s in (0, 0, 1))
    assert (one.centroids == same.centroids).all()
    assert (one.centroids != other.centroids).any()


def test_bad_input_is_named():
    x = np.eye(4, dtype=np.float32)
    with pytest.raises(InputError, match="5 clusters of 4 documents: give 1 to 4"):
        spherical_kmeans(x, 5, keys=keys_of(4))
    x[2, 1] = np.nan
    with pytest.raises(InputError, match="features of row 2 are not finite"):
        spherical_kmeans(x, 2, keys=keys_of(4))
