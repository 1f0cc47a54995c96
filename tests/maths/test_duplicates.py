import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmonia.maths import duplicates
from harmonia.maths.duplicates import duplicate_groups, earlier_similarity, eps_for, exceeds, independent


def chain():
    """Rows a, b, c with cos ab = .97, bc = .97, ac = .89."""
    gram = np.array([[1, 0.97, 0.89], [0.97, 1, 0.97], [0.89, 0.97, 1]])
    return np.linalg.cholesky(gram).astype(np.float32)


def slow_earlier(x, labels, rank):
    unit = x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    order = sorted(range(len(x)), key=lambda i: (rank[i], i))
    out = np.full(len(x), -np.inf)
    for place, j in enumerate(order):
        earlier = [i for i in order[:place] if labels[i] == labels[j] and labels[i] >= 0]
        if earlier:
            out[j] = max(float(unit[i] @ unit[j]) for i in earlier)
    return out


def slow_independent(x, labels, rank, eps):
    unit = x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    kept = []
    for j in sorted(range(len(x)), key=lambda i: (rank[i], i)):
        if not any(labels[i] == labels[j] and unit[i] @ unit[j] > 1 - eps for i in kept):
            kept.append(j)
    return sorted(kept)


def test_a_chain_keeps_its_first_row_or_both_ends():
    x, labels, rank = chain(), np.zeros(3, int), np.arange(3.0)
    official = earlier_similarity(x, labels, rank)
    np.testing.assert_allclose(official, [-np.inf, 0.97, 0.97], atol=1e-6)
    assert np.flatnonzero(~exceeds(official, 0.05)).tolist() == [0]
    assert np.flatnonzero(~exceeds(independent(x, labels, rank, 0.05), 0.05)).tolist() == [0, 2]


@pytest.mark.parametrize("block", [3, 7, 4096])
def test_agrees_with_a_double_loop_whatever_the_block(block, monkeypatch):
    monkeypatch.setattr(duplicates, "_BLOCK", block)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    labels, rank = rng.integers(-1, 3, 60), rng.integers(0, 9, 60)
    expected = slow_earlier(x, labels, rank)
    np.testing.assert_allclose(earlier_similarity(x, labels, rank), expected, rtol=1e-6, atol=1e-7)
    for eps in (0.02, 0.2, 0.7):
        inside = labels >= 0
        found = np.flatnonzero(~exceeds(independent(x, labels, rank, eps), eps) & inside)
        assert found.tolist() == [i for i in slow_independent(x, labels, rank, eps) if inside[i]]


def test_the_first_of_a_cluster_is_always_kept_so_a_cluster_of_one_is_too():
    x = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    labels = np.repeat(np.arange(10), 3)
    kept = ~exceeds(earlier_similarity(x, labels, np.arange(30.0)), 2.0)
    assert np.flatnonzero(kept).tolist() == list(range(0, 30, 3))
    assert np.isneginf(earlier_similarity(x, np.arange(30), np.arange(30.0))).all()


def test_eps_zero_removes_nothing_not_even_exact_copies_and_a_little_more_removes_the_copies():
    x = np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)
    x = np.concatenate([x, x * 3])
    similarity = earlier_similarity(x, np.zeros(100, int), np.arange(100.0))
    assert not exceeds(similarity, 0.0).any()
    assert np.flatnonzero(exceeds(similarity, 1e-5)).tolist() == list(range(50, 100))


@given(st.integers(0, 1000), st.floats(0, 2), st.floats(0, 2))
@settings(max_examples=50, deadline=None)
def test_the_removed_set_grows_with_eps(seed, one, two):
    x = np.random.default_rng(seed).normal(size=(20, 3)).astype(np.float32)
    similarity = earlier_similarity(x, np.zeros(20, int), np.arange(20.0))
    small, large = sorted((one, two))
    assert not (exceeds(similarity, small) & ~exceeds(similarity, large)).any()


@given(st.integers(0, 1000), st.floats(0.01, 1.5))
@settings(max_examples=50, deadline=None)
def test_independent_keeps_a_maximal_set_without_near_pairs(seed, eps):
    x = np.random.default_rng(seed).normal(size=(25, 3)).astype(np.float32)
    labels = np.arange(25) % 2
    kept = ~exceeds(independent(x, labels, np.arange(25.0), eps), eps)
    unit = x.astype(np.float64) / np.linalg.norm(x, axis=1, keepdims=True)
    near = (unit @ unit.T > 1 - eps + 1e-6) & (labels[:, None] == labels) & ~np.eye(25, dtype=bool)
    assert not near[np.ix_(kept, kept)].any()
    near_loose = (unit @ unit.T > 1 - eps - 1e-6) & (labels[:, None] == labels)
    assert near_loose[np.ix_(~kept, kept)].any(axis=1).all()
    # whatever the official rule keeps, the independent rule keeps as well
    official = ~exceeds(earlier_similarity(x, labels, np.arange(25.0)), eps)
    assert not (official & ~kept).any()


@given(st.integers(0, 1000), st.integers(3, 20))
@settings(max_examples=50, deadline=None)
def test_eps_for_leaves_the_wanted_share_by_the_cached_maxima(seed, wanted):
    x = np.random.default_rng(seed).normal(size=(20, 4)).astype(np.float32)
    similarity = earlier_similarity(x, np.arange(20) % 3, np.arange(20.0))
    eps = eps_for(similarity, wanted / 20)
    assert (~exceeds(similarity, eps)).sum() == wanted


def test_groups_are_the_connected_components_with_their_mean_cosine(monkeypatch):
    monkeypatch.setattr(duplicates, "_BLOCK", 4)
    rng = np.random.default_rng(0)
    x = np.eye(12, dtype=np.float32)
    near = x[[3, 3, 3, 7]] + 0.01 * rng.normal(size=(4, 12))
    x = np.concatenate([x, near, np.zeros((2, 12))]).astype(np.float32)
    groups = duplicate_groups(x, np.zeros(18, int), 0.95)
    assert [g.rows.tolist() for g in groups] == [[3, 12, 13, 14], [7, 15]]
    unit = x[:16].astype(np.float64) / np.linalg.norm(x[:16], axis=1, keepdims=True)
    for group in groups:
        pairs = unit[group.rows] @ unit[group.rows].T
        size = len(group.rows)
        assert group.similarity == pytest.approx(pairs[~np.eye(size, dtype=bool)].mean(), abs=1e-6)


@given(st.integers(0, 500), st.floats(0.3, 0.99))
@settings(max_examples=40, deadline=None)
def test_groups_agree_with_components_of_the_full_graph(seed, threshold):
    from scipy.sparse.csgraph import connected_components

    x = np.random.default_rng(seed).normal(size=(30, 3))
    labels = np.arange(30) % 2
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosines = unit @ unit.T
    if (np.abs(cosines - threshold) < 1e-5).any():
        return
    _, component = connected_components((cosines >= threshold) & (labels[:, None] == labels))
    members = [np.flatnonzero(component == c).tolist() for c in np.unique(component)]
    expected = sorted(members, key=lambda g: (-len(g), g[0]))
    found = [g.rows.tolist() for g in duplicate_groups(x, labels, threshold)]
    assert found == [g for g in expected if len(g) > 1]


def test_a_chain_is_one_group_with_the_mean_of_all_its_pairs():
    (group,) = duplicate_groups(chain(), np.zeros(3, int), 0.95)
    assert group.rows.tolist() == [0, 1, 2]
    assert group.similarity == pytest.approx((0.97 + 0.97 + 0.89) / 3, abs=1e-6)


def test_exact_copies_form_a_group_at_threshold_one():
    x = np.random.default_rng(0).normal(size=(40, 64)).astype(np.float32)
    groups = duplicate_groups(np.concatenate([x, x[:3]]), np.zeros(43, int), 1.0)
    assert [g.rows.tolist() for g in groups] == [[0, 40], [1, 41], [2, 42]]
