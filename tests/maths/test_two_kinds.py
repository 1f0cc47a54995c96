"""Two kinds of things under one budget: against trying all pairs."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harmonia.maths.two_kinds import best_pair

costs = st.lists(st.integers(1, 5), max_size=6)


@given(costs, costs, st.integers(0, 40), st.integers(0, 2**20))
def test_equals_trying_all_pairs(first, second, budget, seed):
    random = np.random.default_rng(seed)
    scores = random.random(len(first)), random.random(len(second))
    found = best_pair(scores, (np.array(first, float), np.array(second, float)), (0, 0), budget)
    value = {
        (i, j): scores[0][:i].sum() + scores[1][:j].sum()
        for i, j in itertools.product(range(len(first) + 1), range(len(second) + 1))
        if sum(first[:i]) + sum(second[:j]) <= budget
    }
    assert found in value and value[found] >= max(value.values()) - 1e-12


def test_the_least_is_taken_or_nothing():
    one = np.ones(2)
    assert best_pair((one, one), (one, 3 * one), (1, 1), 4) == (1, 1)
    assert best_pair((one, one), (one, 3 * one), (1, 1), 3.9) is None
    assert best_pair((np.array([]), one), (np.array([]), one), (0, 1), 2) == (0, 2)
