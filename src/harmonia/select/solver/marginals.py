"""What each member adds to a set that was found as a whole."""

from __future__ import annotations

import numpy as np

from harmonia.core.errors import InputError
from harmonia.maths.climb import Climb
from harmonia.select.set_function import SetFunction


def marginals(function: SetFunction, rows: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the score of each member and its parts per term.

    A term with a concave relaxation gives its gradient at the set; any other gives the gain when the members are
    added in order.

    Args:
        function: the set function.
        rows: (k,) members in order.
        chosen: (c,) rows that were in the set before.

    Returns:
        (k,) float64 scores and (k, t) float64 unweighted terms.
    """
    addends = function.addends()
    terms = np.stack([_marginal(addend, rows, chosen) for _, addend in addends], axis=1)
    return terms @ np.array([weight for weight, _ in addends]), terms


def _marginal(function: SetFunction, rows: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    size = len(rows) + len(chosen)
    try:
        relaxed = function.relax(size)
    except InputError:
        return _in_order(function.climb(None, size), rows, chosen)
    members = np.zeros(function.n)
    members[rows] = members[chosen] = 1.0
    return relaxed.gradient(members)[rows]


def _in_order(climb: Climb, rows: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    for row in chosen:
        climb.add(int(row))
    gains = np.empty(len(rows))
    for i, row in enumerate(rows):
        gains[i] = climb.gains(np.array([row]))[0]
        climb.add(int(row))
    return gains
