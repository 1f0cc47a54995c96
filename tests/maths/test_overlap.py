import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harmonia.maths.overlap import coincidences, mixing, subspace_overlap


def test_coincidences_equal_a_loop():
    rng = np.random.default_rng(0)
    sources, neighbours = rng.integers(0, 3, 20), rng.integers(0, 3, (20, 4))
    slow = np.zeros((3, 3), int)
    for source, row in zip(sources, neighbours, strict=True):
        for other in row:
            slow[source, other] += 1
    np.testing.assert_array_equal(coincidences(sources, neighbours, 3), slow)


def test_mixing_is_one_when_counts_are_those_of_chance():
    # 3 sources of 10, 20, 71 documents; every document asked for its 100 others: counts are exactly the expected ones
    sizes = np.array([10, 20, 71])
    counts = sizes[:, None] * (sizes[None, :] - np.eye(3))
    np.testing.assert_allclose(mixing(counts, sizes), 1.0)


def test_mixing_of_sources_that_lie_apart():
    sizes = np.array([50, 50])
    m = mixing(np.array([[500, 0], [0, 500]]), sizes)
    np.testing.assert_allclose(m, [[99 / 49, 0], [0, 99 / 49]])  # 10 neighbours x 50, expected 500 x 49/99 of its own


def test_mixing_says_nothing_where_little_is_expected():
    m = mixing(np.array([[100, 1], [1, 5]]), np.array([990, 10]))
    assert np.isnan(m[1, 1]) and np.isnan(m[0, 1]) and np.isfinite(m[0, 0])


def test_shuffled_sources_mix_at_one():
    rng = np.random.default_rng(1)
    x, sources = rng.normal(size=(600, 5)), rng.integers(0, 2, 600)
    nearest = np.argsort(((x[:, None] - x) ** 2).sum(-1), axis=1)[:, 1:11]
    m = mixing(coincidences(sources, sources[nearest], 2), np.bincount(sources))
    np.testing.assert_allclose(m, 1.0, atol=0.06)


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 2))
def test_subspace_overlap_is_that_of_principal_angles(seed, d, r):
    from scipy.linalg import subspace_angles

    rng = np.random.default_rng(seed)
    a, b = (np.linalg.qr(rng.normal(size=(d, r)))[0] for _ in range(2))
    overlap = subspace_overlap(a, b)
    assert overlap == pytest.approx(float((np.cos(subspace_angles(a, b)) ** 2).mean()), abs=1e-10)
    rotation = np.linalg.qr(rng.normal(size=(r, r)))[0]
    assert overlap == pytest.approx(subspace_overlap(b @ rotation, a), abs=1e-10)


def test_subspace_overlap_by_chance_is_r_over_d():
    rng = np.random.default_rng(2)
    found = [subspace_overlap(*(np.linalg.qr(rng.normal(size=(20, 5)))[0] for _ in range(2))) for _ in range(300)]
    assert np.mean(found) == pytest.approx(5 / 20, abs=4 * np.std(found) / 300**0.5)
