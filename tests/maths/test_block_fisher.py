"""Exchange of units: against a slow version, and what it can only improve."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harmonia.maths.block_fisher import exchanged


def slow(gradients, removed):
    squares = (gradients**2).sum(axis=0)
    order = np.argsort(squares, kind="stable")
    inside = list(order[:removed])
    for unit in order[removed:] if removed else ():
        inside.append(unit)
        costs = [((gradients[:, [u for u in inside if u != out]].sum(axis=1)) ** 2).sum() for out in inside]
        inside.remove(inside[len(costs) - 1 - int(np.argmin(costs[::-1]))])
    return np.sort(inside)


def cost(gradients, units):
    return (gradients[:, units].sum(axis=1) ** 2).sum()


@given(st.integers(0, 2**20), st.integers(0, 8))
def test_equals_the_slow_version_and_never_does_worse_than_its_start(seed, removed):
    gradients = np.random.default_rng(seed).normal(size=(5, 9))
    found = exchanged(gradients, removed)
    assert found.tolist() == slow(gradients, removed).tolist()
    start = np.argsort((gradients**2).sum(axis=0), kind="stable")[:removed]
    assert cost(gradients, found) <= cost(gradients, start) + 1e-9


def test_units_that_cancel_go_together():
    gradients = np.array([[1.0, 2.0, -2.0, 9.0], [1.0, -3.0, 3.1, 9.0]])
    assert exchanged(gradients, 2).tolist() == [1, 2]


def test_uncorrelated_units_stay_in_the_order_of_their_squares():
    assert exchanged(np.diag([3.0, 1.0, 2.0, 4.0]), 2).tolist() == [1, 2]
    assert exchanged(np.zeros((1, 4)), 2).tolist() == [0, 1]
