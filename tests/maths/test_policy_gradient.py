import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from harmonia.core.seeds import generator, gumbels, stable_hash
from harmonia.maths.policy_gradient import (
    group_advantages,
    gumbel_top_k,
    independent_gradient,
    plackett_luce_gradient,
)


def log_plackett_luce(logits, draws):
    """log P of ordered draws without replacement, term by term."""
    left = np.exp(logits - logits.max())
    total = 0.0
    for draw in draws:
        total += np.log(left[draw] / left.sum())
        left[draw] = 0
    return total


def test_advantages_use_the_population_deviation():
    np.testing.assert_allclose(group_advantages(np.array([1.0, 2, 3])), [-1.224745, 0, 1.224745], atol=1e-6)


def test_equal_rewards_have_no_advantage():
    assert group_advantages(np.full(5, 0.1)).tolist() == [0] * 5


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=20), st.integers(-9, 9), st.floats(0.5, 100))
def test_advantages_do_not_see_shift_and_scale_of_rewards(rewards, shift, scale):
    rewards = np.array(rewards, float)
    np.testing.assert_allclose(group_advantages(scale * rewards + shift), group_advantages(rewards), atol=1e-6)
    assert abs(group_advantages(rewards).sum()) < 1e-9


def test_softmax_cancels_against_the_group_baseline():
    sets, advantages = np.array([[0, 1], [2, 3], [0, 2]]), group_advantages(np.array([1.0, 2, 3]))
    g = independent_gradient(sets, advantages, 4)
    np.testing.assert_allclose(g, [0, -0.408248, 0.408248, 0], atol=1e-6)
    logits = np.array([0.3, -1, 2, 0.5])
    p = np.exp(logits) / np.exp(logits).sum()
    masks = np.zeros((3, 4))
    np.put_along_axis(masks, sets, 1, axis=1)
    np.testing.assert_allclose(g, (advantages[:, None] * (masks - 2 * p)).mean(axis=0), atol=1e-12)


def test_plackett_luce_gradient_of_one_ordered_draw():
    np.testing.assert_allclose(
        plackett_luce_gradient(np.zeros(3), np.array([[0, 1]]), np.ones(1)), [2 / 3, 1 / 6, -5 / 6]
    )


@given(st.integers(0, 10**6), st.integers(2, 7), st.data())
def test_plackett_luce_gradient_equals_finite_differences(seed, n, data):
    k = data.draw(st.integers(1, n))
    random = np.random.default_rng(seed)
    logits, advantages = random.normal(size=n) * 2, random.normal(size=3)
    sets = np.array([random.permutation(n)[:k] for _ in range(3)])
    gradient = plackett_luce_gradient(logits, sets, advantages)
    for i in range(n):
        step = np.eye(n)[i] * 1e-5
        slope = np.mean(
            [
                a * (log_plackett_luce(logits + step, s) - log_plackett_luce(logits - step, s)) / 2e-5
                for a, s in zip(advantages, sets, strict=True)
            ]
        )
        assert gradient[i] == pytest.approx(slope, abs=1e-6)
    assert abs(gradient.sum()) < 1e-9


def test_plackett_luce_gradient_survives_a_draw_that_takes_all_the_mass():
    g = plackett_luce_gradient(np.array([60.0, 0, 1]), np.array([[0, 2]]), np.ones(1))
    np.testing.assert_allclose(g, [0, -1 / (1 + np.e), 1 - np.e / (1 + np.e)], atol=1e-12)


def test_one_draw_follows_the_softmax():
    logits, draws = np.array([0.0, 1, 2, -1]), 20000
    keys = stable_hash(map(str, range(4)))
    salts = generator(1).integers(0, 2**64, draws, dtype=np.uint64)
    first = gumbel_top_k(logits, gumbels(keys[None, :] ^ salts[:, None], 1, "draw"), 1)[:, 0]
    expected = np.exp(logits) / np.exp(logits).sum() * draws
    assert chisquare(np.bincount(first, minlength=4), expected).pvalue > 1e-3


def test_drawing_all_rows_gives_them_in_the_order_of_their_keys():
    noise = np.array([[0.0, 3, 1], [2, 0, 1]])
    assert gumbel_top_k(np.zeros(3), noise, 3).tolist() == [[1, 2, 0], [0, 2, 1]]


def test_ordered_draws_follow_plackett_luce():
    logits, draws = np.array([1.0, 0, -0.5]), 30000
    sets = gumbel_top_k(logits, np.random.default_rng(0).gumbel(size=(draws, 3)), 2)
    pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
    counts = [int((sets == pair).all(axis=1).sum()) for pair in pairs]
    expected = [draws * np.exp(log_plackett_luce(logits, pair)) for pair in pairs]
    assert chisquare(counts, expected).pvalue > 1e-3
