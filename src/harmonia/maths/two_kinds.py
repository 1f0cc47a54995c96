"""The best of two kinds of things under one budget, when within each kind the best come first.

For every number of the first kind the budget that is left says how many of the second fit; two prefix sums of costs and
two of scores find all pairs at once, in O(n log n).
"""

from __future__ import annotations

import numpy as np


def best_pair(
    scores: tuple[np.ndarray, np.ndarray],
    costs: tuple[np.ndarray, np.ndarray],
    least: tuple[int, int],
    budget: float,
) -> tuple[int, int] | None:
    """Return how many of each kind to take: the pair with the largest sum of scores whose cost is within the budget.

    Args:
        scores: of the first and the second kind, in the order in which they are taken.
        costs: of the same, at least 0.
        least: how many of each must be taken.
        budget: of the costs.

    Returns:
        The numbers, or None where not even the least fits. Of equal sums the one with more of the first kind.

    >>> one = np.ones(3)
    >>> best_pair((np.array([5., 4, 1]), np.array([3., 2, 2])), (2 * one, one), (0, 0), 5)
    (2, 1)
    """
    (first, second), (cost, other) = (
        [np.concatenate([[0.0], np.cumsum(values)]) for values in pair] for pair in (scores, costs)
    )
    counts = np.arange(least[0], len(cost))
    counts = counts[cost[counts] + other[least[1]] <= budget]
    if not len(counts):
        return None
    others = np.searchsorted(other, budget - cost[counts], side="right") - 1
    totals = first[counts] + second[others]
    best = len(totals) - 1 - int(np.argmax(totals[::-1]))
    return int(counts[best]), int(others[best])
