import itertools

import numpy as np
import pytest

from harmonia.maths.farthest import FarthestClimb
from harmonia.maths.greedy import Scan, ascend
from harmonia.maths.ledger import Ledger


@pytest.mark.parametrize("seed", range(5))
def test_the_radius_is_at_most_twice_the_best(seed):
    X = np.random.default_rng(seed).normal(size=(12, 2)).astype(np.float32)
    distances = np.linalg.norm(X[:, None] - X[None], axis=2)
    best = min(distances[:, list(s)].min(axis=1).max() for s in itertools.combinations(range(12), 3))
    climb, ledger = FarthestClimb(X), Ledger(np.ones(12, bool), 3)
    found = ascend(climb, ledger, Scan(climb, ledger), first=0)
    radius = distances[:, found.rows].min(axis=1).max()
    assert best - 1e-6 <= radius <= 2 * best + 1e-6
    np.testing.assert_allclose(climb.gains(), distances[:, found.rows].min(axis=1) ** 2, atol=1e-5)


def test_the_traversal_on_a_line():
    X = np.array([[0.0], [1], [4], [10]], np.float32)
    climb, ledger = FarthestClimb(X), Ledger(np.ones(4, bool), 4)
    found = ascend(climb, ledger, Scan(climb, ledger), first=0)
    assert found.rows.tolist() == [0, 3, 2, 1] and found.gains.tolist() == [np.inf, 100, 16, 1]


@pytest.mark.parametrize(("offset", "dtype"), [(1000.0, np.float32), (1e9, np.float64)])
def test_distances_do_not_cancel_far_from_the_origin(offset, dtype):
    """By |x|^2 + |y|^2 - 2 x.y these squared distances of order 1 would drown in the rounding of offset^2."""
    X = np.random.default_rng(0).normal(size=(40, 3)).round(1) + offset
    climb, plain = FarthestClimb(X, dtype), X - offset
    climb.add(7)
    np.testing.assert_allclose(climb.gains(), np.square(plain - plain[7]).sum(axis=1), rtol=1e-2, atol=1e-3)
    assert climb.gains()[7] == 0
