"""Removal one by one: errors against least squares, weights against a direct solution, order against a slow greedy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import harmonia.maths.obs as obs
from harmonia.maths.interpolation import SingularError, repaired, residual
from harmonia.maths.obs import Removal, inverse, removal_order


def drawn(seed, n=50, d=8, out=3):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n, d)) @ (np.eye(d) + 0.5 * random.normal(size=(d, d)))
    return rows.T @ rows, random.normal(size=(out, d))


def columns(units, run):
    return (np.asarray(units)[:, None] * run + np.arange(run)).reshape(-1)


def slow_order(gram, weight, run):
    """Greedy removal by trying every unit at every step, with least squares from scratch."""
    left, order, added, before = list(range(len(gram) // run)), [], [], 0.0
    while left:
        after = []
        for unit in left:
            kept = columns([u for u in left if u != unit], run) if len(left) > 1 else np.empty(0, np.int64)
            after.append(residual(gram, weight, kept))
        best = int(np.argmin(after))
        order.append(left.pop(best))
        added.append(after[best] - before)
        before = after[best]
    return np.array(order), np.array(added)


def test_inverse_is_the_inverse():
    gram, _ = drawn(0)
    np.testing.assert_allclose(inverse(gram, np.ones(8)) @ (gram + np.eye(8)), np.eye(8), atol=1e-10)


@pytest.mark.parametrize("run", [1, 2, 4])
@pytest.mark.parametrize("waiting", [1, 3, 64])
@pytest.mark.parametrize("seed", [0, 1])
def test_order_and_errors_are_those_of_the_slow_greedy(run, waiting, seed, monkeypatch):
    monkeypatch.setattr(obs, "WAITING", waiting)
    gram, weight = drawn(seed)
    order, added = removal_order(weight, gram, np.zeros(8), run)
    slow, errors = slow_order(gram, weight, run)
    assert order.tolist() == slow.tolist()
    np.testing.assert_allclose(added, errors, rtol=1e-7, atol=1e-9)


@given(st.integers(0, 2**20), st.sampled_from([1, 2]), st.sampled_from([0.0, 0.5]))
def test_weights_after_some_removals_are_the_best_ones(seed, run, ridge):
    gram, weight = drawn(seed)
    penalty = ridge * np.diag(gram)
    removal = Removal(weight, gram, penalty, run)
    for unit in np.random.default_rng(seed).permutation(8 // run)[:3]:
        removal.remove(int(unit))
    direct = repaired(gram, gram @ weight.T, weight, penalty, [columns(removal.left, run)])[0]
    np.testing.assert_allclose(removal.weight, direct, rtol=1e-6, atol=1e-7)


def test_inputs_that_are_never_there_go_first_and_free():
    gram, weight = drawn(0)
    gram[3], gram[:, 3] = 0, 0
    order, added = removal_order(weight, gram, np.zeros(8))
    assert order[0] == 3 and added[0] == 0 and (added[1:] > 0).all()


def test_of_twins_the_last_goes_free_and_the_first_does_not():
    rows = np.random.default_rng(0).normal(size=(50, 4))
    rows[:, 3] = rows[:, 1]
    order, added = removal_order(np.ones((1, 4)), rows.T @ rows, np.full(4, 1e-9))
    assert order[0] == 3 and added[0] == pytest.approx(0, abs=1e-6) and added[1:].min() > 1


def test_dependent_inputs_without_a_ridge_are_refused():
    rows = np.random.default_rng(0).normal(size=(50, 2))
    with pytest.raises(SingularError):
        Removal(np.ones((1, 3)), (rows[:, [0, 1, 1]]).T @ rows[:, [0, 1, 1]], np.zeros(3))
