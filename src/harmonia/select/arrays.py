"""A selection on plain arrays: no files, no runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harmonia.select.budget import Budget
from harmonia.select.context import Context
from harmonia.select.objective.base import Objective
from harmonia.select.pool import Pool
from harmonia.select.solver.base import Picks, Problem, Solver

if TYPE_CHECKING:
    from harmonia.maths.rows import Matrix


def pick(
    features: Matrix | Pool,
    objective: Objective,
    solver: Solver,
    *,
    budget: str | float,
    seed: int = 0,
    dtype: Any = np.float32,
    **arrays: Any,
) -> Picks:
    """Pick rows of a matrix.

    Args:
        features: (n, d) vectors, an array or a memory map; or a whole ``Pool``.
        objective: what makes a set good.
        solver: how to find it.
        budget: ``0.015``, ``"1.5%"`` or a number of rows.
        seed: fixes every random choice.
        dtype: in which solvers compute.
        **arrays: ``quality``, ``sources``, ``tokens``, ``texts``, ``ids`` of ``Pool.from_arrays``.

    Returns:
        Rows in the order of picking, with scores.

    Raises:
        InputError: unusable arrays or settings.

    >>> from harmonia.select import Decorrelation, Greedy
    >>> x = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [-1.0, -1.0]])
    >>> sorted(pick(x, Decorrelation(), Greedy(), budget=2).rows.tolist())
    [0, 2]
    """
    pool = features if isinstance(features, Pool) else Pool.from_arrays(features, **arrays)
    context = Context(seed=seed, dtype=dtype)
    amount = Budget.parse(budget, len(pool), int(pool.tokens.sum()))
    return solver.solve(Problem(pool, objective.fit(pool, context), amount, context))
