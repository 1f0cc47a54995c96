"""What solvers need that rank documents by a score of their own."""

from __future__ import annotations

import numpy as np

from harmonia.core.errors import InputError
from harmonia.select.set_function import SetFunction
from harmonia.select.solver.base import Problem


def own_scores(problem: Problem, solver: str) -> np.ndarray:
    """Return the (n,) score of each document.

    Raises:
        InputError: the objective judges sets, not documents.
    """
    scores = problem.function.scores()
    if scores is None:
        raise InputError(
            f"solver {solver} ranks documents by a score of their own, but the objective "
            f"{'+'.join(problem.function.names)} judges whole sets; use solver=greedy"
        )
    bad = np.flatnonzero(np.isnan(scores) | np.isposinf(scores))
    if len(bad):
        raise InputError(
            f"the score of document {problem.pool.name_of(int(bad[0]))!r} is {scores[bad[0]]} "
            f"({len(bad)} of {len(scores)}); scores must be numbers"
        )
    return scores


def own_terms(function: SetFunction, rows: np.ndarray) -> np.ndarray:
    """Return the unweighted score of each term: (k, t) float64."""
    return np.stack([np.asarray(addend.scores())[rows] for _, addend in function.addends()], axis=1)
