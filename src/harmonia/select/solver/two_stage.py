"""Two stages: a cheap objective narrows the pool, then another solver maximises the main objective on what is left.

The main objective is fitted on the survivors alone, so one that needs a model's gradients stays affordable.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from harmonia.select.budget import Budget
from harmonia.select.solver.base import Picks, Problem, Solver
from harmonia.select.solver.top_n import TopN
from harmonia.select.subset import restrict, subpool

if TYPE_CHECKING:
    from harmonia.select.objective.base import Objective as AnyObjective
    from harmonia.select.solver.base import Solver as AnySolver


class TwoStage(Solver):
    """Keeps the documents of highest ``prefilter`` score, then solves for the main objective among them."""

    kind: Literal["two-stage"] = "two-stage"

    prefilter: AnyObjective
    """Objective of the first stage; it must score single documents."""
    keep: str | int | float = "20%"
    """How much survives the first stage, written like a budget: 0.2, 20% or 5000 documents, 50Mtok tokens."""
    solver: AnySolver
    """Solver of the second stage."""

    def solve(self, problem: Problem) -> Picks:
        pool, budget = problem.pool, problem.budget
        keep = Budget.parse(self.keep, len(pool), int(pool.tokens.sum()), floors=budget.floors)
        first = Problem(pool, self.prefilter.fit(pool, problem.context), keep, problem.context, problem.chosen)
        survivors = np.union1d(TopN().solve(first).rows, problem.chosen)
        second = Problem(
            subpool(pool, survivors),
            restrict(problem.function, survivors),
            budget,
            problem.context,
            np.searchsorted(survivors, problem.chosen),
        )
        picks = self.solver.solve(second)
        return replace(picks, rows=survivors[picks.rows], facts={**picks.facts, "survivors": len(survivors)})
