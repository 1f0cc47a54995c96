"""Two stages: a cheap objective narrows the pool, then another solver maximises the main objective on what is left.

The main objective is fitted on the survivors alone, so one that needs a model's gradients stays affordable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from harmonia.core.errors import InputError
from harmonia.select.budget import Budget
from harmonia.select.pool import Pool
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
    """How much survives the first stage, written like a budget: 0.2, 20% or 5000 documents, 50Mtok tokens; of what
    the prefilter does not exclude."""
    solver: AnySolver
    """Solver of the second stage."""

    def solve(self, problem: Problem) -> Picks:
        pool, budget = problem.pool, problem.budget
        # a name of its own: in a joint selection the main objective is fitted on more documents than the prefilter
        cheap = self.prefilter.fit(pool, problem.context.within("prefilter"))
        left = ~cheap.forbidden()
        left[problem.chosen] = False
        try:
            keep = Budget.parse(self.keep, int(left.sum()), int(pool.tokens[left].sum()))
        except InputError as error:
            raise InputError(f"solver.keep: {str(error).replace('budget ', '', 1)}") from error
        keep = replace(keep, floors=_within_reach(budget.floors, keep, pool, left))
        first = Problem(pool, cheap, keep, problem.context, problem.chosen)
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


def _within_reach(floors: Mapping[str, float], keep: Budget, pool: Pool, left: np.ndarray) -> dict[str, float]:
    """Return the floors as shares of what survives, where a source may hold too little to fill so large a share."""
    worth = pool.tokens[left] if keep.unit == "tokens" else np.ones(np.count_nonzero(left))
    held = np.bincount(pool.sources[left], weights=worth, minlength=len(pool.source_names))
    share = dict(zip(pool.source_names, held / keep.amount, strict=True))
    return {name: min(floor, float(share.get(name, floor))) for name, floor in floors.items()}
