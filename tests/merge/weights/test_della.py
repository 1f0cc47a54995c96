import numpy as np
import pytest
from pydantic import ValidationError

from harmonia.maths.random_mask import draws, mask_key
from harmonia.merge.weights import DareLinear, DareTies, Della, DellaLinear

ROWS = np.array([[3, -1, 2], [0.5, 0.25, -4]])


def test_probability_grows_with_the_rank_in_a_row(merge):
    n = 1000
    rule = DellaLinear(density=0.5, epsilon=0.3, rescale="none")
    kept = np.mean([merge(rule, [ROWS], 0 * ROWS, seed=seed) != 0 for seed in range(n)], axis=0)
    assert kept == pytest.approx(np.array([[0.8, 0.2, 0.5], [0.5, 0.2, 0.8]]), abs=4 * 0.5 / n**0.5)


def test_unbiased(merge):
    n, p = 1000, np.array([[0.8, 0.2, 0.5], [0.5, 0.2, 0.8]])
    mean = np.mean([merge(DellaLinear(epsilon=0.3), [ROWS], 0 * ROWS, seed=seed) for seed in range(n)], axis=0)
    assert (abs(mean - ROWS) <= 4 * abs(ROWS) * np.sqrt((1 - p) / p / n)).all()


def test_as_a_slow_reference(merge, tangled):
    base, experts = tangled["a.weight"]
    expected = base.astype(np.float64)
    for i, expert in enumerate(experts):
        task = expert - base
        uniform = (draws(mask_key(4, "drop", i, "w"), 0, base.size) / 2**32).reshape(base.shape)
        for row, u, out in zip(task, uniform, expected, strict=True):
            rank = np.empty(len(row), int)
            rank[np.argsort(-np.abs(row), kind="stable")] = np.arange(len(row))[::-1]
            p = 0.4 - 0.2 + 2 * 0.2 * rank / (len(row) - 1)
            out[:] = out + np.where(u < p, row / p, 0)
    np.testing.assert_allclose(merge(DellaLinear(density=0.4, epsilon=0.2), experts, base, seed=4), expected, atol=1e-5)


def test_without_epsilon_it_is_dare(merge, tangled):
    base, experts = tangled["a.weight"]
    for rescale in ("unbiased", "l1", "none"):
        della = merge(DellaLinear(epsilon=0, density=0.5, rescale=rescale), experts, base)
        np.testing.assert_allclose(della, merge(DareLinear(rescale=rescale), experts, base), atol=1e-6)
    elected = merge(Della(epsilon=0), experts, base)
    np.testing.assert_allclose(elected, merge(DareTies(normalize=True), experts, base), atol=1e-6)


def test_probabilities_outside_0_to_1_are_refused():
    for density in (0.1, 0.15, 0.9):
        with pytest.raises(ValidationError, match="probabilities outside .* lower epsilon"):
            Della(density=density)
    assert Della(density=0.85).density == 0.85
