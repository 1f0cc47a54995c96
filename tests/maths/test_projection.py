"""Random projections keep inner products, up to the variance that the theory gives."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from harmonia.maths import projection
from harmonia.maths.projection import rademacher_projection


def test_equals_a_matrix_of_signs():
    matrix = rademacher_projection(np.eye(7), 5, 0) * np.sqrt(5)
    assert set(np.unique(matrix)) == {-1.0, 1.0}
    g = np.random.default_rng(0).normal(size=(3, 7))
    np.testing.assert_allclose(rademacher_projection(g, 5, 0), g @ matrix / np.sqrt(5), atol=1e-12)


def test_seed_and_purpose_choose_the_signs():
    g = np.eye(40)
    base = rademacher_projection(g, 16, 0)
    assert np.array_equal(base, rademacher_projection(g, 16, 0))
    assert not np.array_equal(base, rademacher_projection(g, 16, 1))
    assert not np.array_equal(base, rademacher_projection(g, 16, 0, "other"))


def test_several_blocks(monkeypatch):
    monkeypatch.setattr(projection, "_SIGNS_AT_ONCE", 64)
    matrix = rademacher_projection(np.eye(11), 16, 3) * 4  # four rows a block
    assert np.array_equal(np.abs(matrix), np.ones((11, 16)))
    assert len(np.unique(matrix, axis=0)) == 11


def test_inner_products_are_unbiased():
    g, h = np.random.default_rng(1).normal(size=(2, 50))
    estimates = [float(np.dot(*rademacher_projection(np.stack([g, h]), 64, seed))) for seed in range(400)]
    # variance of one estimate: (|g|^2 |h|^2 + <g,h>^2 - 2 sum g_i^2 h_i^2) / p
    variance = (g @ g * (h @ h) + (g @ h) ** 2 - 2 * np.sum(g**2 * h**2)) / 64
    assert np.mean(estimates) == pytest.approx(g @ h, abs=4 * np.sqrt(variance / 400))
    assert np.var(estimates) == pytest.approx(variance, rel=0.3)


def test_rank_correlation_of_projected_scores():
    """Scores of independent gradients correlate with the exact ones by 1 / sqrt(1 + P/p)."""
    random = np.random.default_rng(2)
    for length, least in ((64, 0.99), (8192, 0.6)):
        g = random.normal(size=(600, length))
        target = random.normal(size=(50, length)).mean(axis=0, keepdims=True)
        z = rademacher_projection(np.concatenate([target, g]), 8192, 0)
        found = spearmanr(g @ target[0], z[1:] @ z[0])[0]
        assert found > least
        assert np.corrcoef(g @ target[0], z[1:] @ z[0])[0, 1] == pytest.approx((1 + length / 8192) ** -0.5, abs=0.06)
