import itertools

import numpy as np
import pytest

from harmonia.maths.frank_wolfe import maximise


def top(k):
    def oracle(gradient):
        mask = np.zeros(len(gradient))
        mask[np.argsort(-gradient, kind="stable")[:k]] = 1
        return mask

    return oracle


def quadratic(seed, n, k, **settings):
    """f(m) = b.m - m'Am with A positive semidefinite."""
    random = np.random.default_rng(seed)
    root, b = random.normal(size=(n, 3)), random.normal(size=n)
    A = root @ root.T / k
    f = lambda m: float(b @ m - m @ A @ m)  # noqa: E731
    return (
        f,
        A,
        maximise(
            f,
            lambda m: b - 2 * A @ m,
            lambda p: float(p @ A @ p),
            top(k),
            top(k)(b),
            **{"tolerance": 1e-9, "iterations": 500, **settings},
        ),
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_is_above_every_subset_never_increases_and_closes_at_the_known_rate(seed):
    f, A, found = quadratic(seed, 12, 4)
    best = max(f(np.isin(np.arange(12), members)) for members in itertools.combinations(range(12), 4))
    assert best <= found.bound + 1e-12
    assert (np.diff(found.bounds) <= 0).all()
    vertices = np.array([np.isin(np.arange(12), s) for s in itertools.combinations(range(12), 4)], float)
    products = vertices @ A @ vertices.T
    widest = 2 * (np.diag(products)[:, None] + np.diag(products) - 2 * products).max()
    assert found.bound - found.value <= 8.75 * widest / (found.iterations + 2)
    assert found.m.sum() == pytest.approx(4) and found.m.min() >= -1e-12 and found.m.max() <= 1 + 1e-12


def test_a_linear_function_is_solved_at_its_first_vertex():
    b = np.array([3.0, 1, 2, -np.inf])
    value = lambda m: float(b[m > 0] @ m[m > 0])  # noqa: E731
    found = maximise(value, lambda m: b, lambda p: 0.0, top(2), np.array([0.0, 1, 1, 0]), tolerance=1e-9, iterations=9)
    assert found.m.tolist() == [1, 0, 1, 0]
    assert found.value == found.bound == 5 and found.iterations == 2


def test_the_line_step_is_the_exact_maximum():
    """One coordinate pair: f(m) = m0 - 2 m0^2 over m0 + m1 = 1 peaks at m0 = 1/4 in one step."""
    found = maximise(
        lambda m: m[0] - 2 * m[0] ** 2,
        lambda m: np.array([1 - 4 * m[0], 0]),
        lambda p: 2 * p[0] ** 2,
        top(1),
        np.array([0.0, 1]),
        tolerance=1e-12,
        iterations=50,
    )
    np.testing.assert_allclose(found.m, [0.25, 0.75])
    assert found.value == pytest.approx(0.125) and found.iterations == 2


def test_it_stops_after_the_iterations_asked_for():
    *_, found = quadratic(0, 12, 4, tolerance=1e-15, iterations=3)
    assert found.iterations == len(found.bounds) == 3
