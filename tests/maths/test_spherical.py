import itertools
import math

import numpy as np
import pytest

from harmonia.maths.spherical import cosine, karcher_coefficients, slerp_coefficients


def test_slerp_by_hand():
    assert slerp_coefficients(np.array([[1.0, 1], [1, 2]]), 0.25) == pytest.approx((0.785695, 0.275899), abs=1e-6)
    assert slerp_coefficients(np.eye(2), 0) == (1, 0) and slerp_coefficients(np.eye(2), 1) == (0, 1)


def test_collinear_and_zero_have_no_arc():
    for u, v in (([1, 0], [3, 0]), ([1, 0], [-1, 0.01]), ([0, 0], [1, 0])):
        rows = np.array([u, v], float)
        assert slerp_coefficients(rows @ rows.T, 0.5) is None
    assert cosine(np.zeros((2, 2))) is None and cosine(np.array([[1.0, -2], [-2, 4]])) == -1


def test_equal_steps_on_the_arc():
    rows = np.random.default_rng(0).standard_normal((2, 5))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    points = [np.array(slerp_coefficients(rows @ rows.T, t)) @ rows for t in np.linspace(0, 1, 5)]
    steps = [math.acos(a @ b) for a, b in itertools.pairwise(points)]
    assert steps == pytest.approx([math.acos(rows[0] @ rows[1]) / 4] * 4)


def test_the_karcher_mean_has_the_least_squares_of_angles():
    random = np.random.default_rng(1)
    rows = random.standard_normal((4, 6)) + 1
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    found = karcher_coefficients(rows @ rows.T, weights, iterations=100, tolerance=1e-12) @ units

    def spread(point):
        return weights @ np.arccos(units @ (point / np.linalg.norm(point))) ** 2

    assert np.linalg.norm(found) == pytest.approx(1)
    for _ in range(50):
        assert spread(found + 1e-3 * random.standard_normal(6)) > spread(found)


@pytest.mark.parametrize(
    ("rows", "weights"),
    [
        ([[1, 0], [-1, 0]], [0.5, 0.5]),
        ([[1, 0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]], [1 / 3] * 3),
        ([[3, 0], [-1, 0]], [0.75, 0.25]),  # the mean is the first, and the second is opposite to it
    ],
)
def test_directions_without_a_mean(rows, weights):
    rows = np.array(rows, float)
    assert karcher_coefficients(rows @ rows.T, np.array(weights)) is None
