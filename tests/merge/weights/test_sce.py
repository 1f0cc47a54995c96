import numpy as np
import pytest

from harmonia.maths import kth_largest
from harmonia.merge.weights import Sce, Ties


def reference(tasks, density, weights, normalize=True):
    tasks = tasks.astype(np.float64)
    kept = max(1, int(density * tasks.shape[1]))
    chosen = np.argsort(-tasks.var(axis=0), kind="stable")[:kept]
    mask = np.zeros(tasks.shape[1])
    mask[chosen] = 1
    tasks = tasks * mask
    energy = (tasks**2).mean(axis=1) * weights
    energy = (energy / energy.sum())[:, None]
    sign = np.where(tasks.sum(axis=0) >= 0, 1, -1)
    agree = energy * (tasks * sign > 0)
    total = (agree * tasks).sum(axis=0)
    return total / np.maximum(agree.sum(axis=0), 1e-300) if normalize else total


def test_by_hand(merge):
    # variances .25, 0, 4, .0625: the third and the first stay; energies 1 + 9 to 0 + 1; signs +, +
    tasks = [[1, 5, 3, 0.5], [0, 5, -1, 0]]
    assert merge(Sce(density=0.5), tasks, [0] * 4).tolist() == [1, 0, 3, 0]
    # the sign is that of the plain sum: + for the first; where both agree, energies 10 and 10 average
    tasks = [[3, 1], [1, 3]]
    assert merge(Sce(density=1), tasks, [0, 0]) == pytest.approx([2, 2])
    # energies 10 and 8, shares 5/9 and 4/9
    assert merge(Sce(density=1), [[3, 1], [2, 2]], [0, 0]) == pytest.approx([23 / 9, 13 / 9])


@pytest.mark.parametrize("density", [0.03, 0.4, 1])
@pytest.mark.parametrize("normalize", [True, False])
def test_as_a_slow_reference(density, normalize, merge):
    random = np.random.default_rng(0)
    tasks = (random.standard_normal((4, 500)) * [[1], [2], [0.5], [1]]).astype(np.float32)
    weights = [1, 0.5, 1, 2]
    found = merge(Sce(density=density, normalize=normalize), tasks, np.zeros(500), weights)
    np.testing.assert_allclose(found, reference(tasks, density, weights, normalize), rtol=2e-5, atol=1e-6)


def test_of_equal_variances_the_first_stay(merge, monkeypatch):
    tasks = [[1, 1, 1, 1, 1], [0, 0, 0, 0, 0]]
    assert merge(Sce(density=0.4), tasks, [0] * 5).tolist() == [1, 1, 0, 0, 0]
    assert merge(Sce(density=0.4), [[1] * 5] * 2, [0] * 5).tolist() == [1, 1, 0, 0, 0]
    monkeypatch.setattr(kth_largest, "FEW", 0)
    assert merge(Sce(density=0.4), [[1] * 5] * 2, [0] * 5, piece=1).tolist() == [1, 1, 0, 0, 0]


def test_equal_energies_are_an_election(merge):
    tasks = np.array([[1, -2, 3], [3, 1, -2], [-2, 3, 1]], np.float32)
    np.testing.assert_allclose(
        merge(Sce(density=1), tasks, np.zeros(3)), merge(Ties(density=1), tasks, np.zeros(3)), rtol=1e-6
    )
