"""Greedy over one share of the pool, whatever the search."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harmonia.maths.climb import Climb
from harmonia.maths.greedy import Search, ascend
from harmonia.maths.ledger import Ledger
from harmonia.select.solver.base import Problem
from harmonia.select.solver.shares import Chosen, Share


def climb_share(
    problem: Problem,
    share: Share,
    climb_over: Callable[[np.ndarray | None, int], Climb],
    search: Callable[[Climb, Ledger, np.ndarray], Search],
    start: Callable[[Climb, Ledger, np.ndarray], int | None],
) -> Chosen:
    """Take a share's documents one after another, on top of what is chosen already.

    Args:
        problem: what is to be solved.
        share: where to take how much.
        climb_over: (rows or None for the whole pool, size) -> climb.
        search: (climb, ledger, rows) -> how the next row is found; positions stand for ``rows``.
        start: (climb, ledger, rows) -> the position to take first, or None for the best.
    """
    rows = np.union1d(share.rows, problem.chosen)
    climb = climb_over(None if len(rows) == len(problem.pool) else rows, share.size + len(problem.chosen))
    positions = np.searchsorted(rows, share.rows)
    candidates = np.zeros(len(rows), bool)
    candidates[positions] = ~problem.forbidden[share.rows]
    ledger = share.ledger(candidates, positions)
    for row in np.searchsorted(rows, problem.chosen):
        climb.add(int(row))
    ascent = ascend(climb, ledger, search(climb, ledger, rows), first=start(climb, ledger, rows))
    return Chosen(rows[ascent.rows], ascent.gains, ascent.terms)
