import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harmonia.maths.ledger import Ledger
from harmonia.maths.quotas import bounded_top


def spend(scores, ledger):
    taken = []
    while not ledger.done and ledger.open.any():
        row = int(np.argmax(np.where(ledger.open, scores, -np.inf)))
        ledger.take(row)
        taken.append(row)
    return taken


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(0, 2), st.integers(0, 2), st.integers(0, 4))
def test_greedy_over_the_ledger_is_the_best_bounded_set(seed, amount, low0, low1, high):
    random = np.random.default_rng(seed)
    scores, sources = random.permutation(8).astype(float), np.array([0, 0, 0, 1, 1, 1, 2, 2])
    low, most = np.array([low0, low1, 0]), np.array([max(high, low0), 3, 2])
    feasible = [
        s
        for s in itertools.combinations(range(8), amount)
        if (np.bincount(sources[list(s)], minlength=3) >= low).all()
        and (np.bincount(sources[list(s)], minlength=3) <= most).all()
    ]
    if not feasible:
        return
    best = max(feasible, key=lambda s: scores[list(s)].sum())
    taken = spend(scores, Ledger(np.ones(8, bool), amount, sources=sources, low=low, high=most))
    assert sorted(taken) == list(best)
    assert sorted(bounded_top(scores, amount, sources=sources, low=low, high=most)) == list(best)


@given(st.lists(st.integers(1, 30), min_size=3, max_size=30), st.data())
def test_tokens_stop_at_the_document_that_reaches_the_budget(costs, data):
    costs = np.array(costs)
    amount = data.draw(st.integers(1, int(costs.sum())))
    ledger = Ledger(np.ones(len(costs), bool), amount, costs=costs)
    taken = spend(np.arange(len(costs), 0, -1.0), ledger)
    assert ledger.spent == costs[taken].sum() >= amount > costs[taken[:-1]].sum()


def test_a_floor_in_tokens_is_reached_by_the_document_that_crosses_it():
    costs, sources = np.array([50, 50, 30, 30]), np.array([0, 0, 1, 1])
    taken = spend(
        np.array([9.0, 8, 2, 1]), Ledger(np.ones(4, bool), 100, costs=costs, sources=sources, low=np.array([0, 40]))
    )
    assert costs[taken][sources[taken] == 1].sum() == 60
    assert taken == [0, 1, 2, 3]


def test_rows_never_open_again_and_excluded_rows_stay_closed():
    ledger = Ledger(np.array([True, False, True, True]), 2, sources=np.array([0, 0, 0, 1]), high=np.array([1, 1]))
    assert ledger.open.tolist() == [True, False, True, True]
    ledger.take(0)
    assert ledger.open.tolist() == [False, False, False, True]
    ledger.take(3)
    assert ledger.done and not ledger.open.any()
