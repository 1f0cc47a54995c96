"""Per term: each term of a weighted sum has its own part of the budget and picks alone, one after another.

This is DSIR for several targets (Xie et al. 2023, arXiv 2302.03169): one importance model per target, quotas by the
sizes of the targets, and no document twice. A sum of the scores would take what lies between the targets instead.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from harmonia.core.errors import InputError
from harmonia.maths.quotas import quotas
from harmonia.select.solver.base import Picks, Problem, Solver
from harmonia.select.solver.marginals import marginals
from harmonia.select.solver.modular import own_terms

if TYPE_CHECKING:
    from harmonia.select.solver.base import Solver as AnySolver


class PerTerm(Solver):
    """Splits the budget over the terms in proportion to their weights; each term is solved for alone, in turn.

    What an earlier term took counts as chosen for the later ones: it is not taken again, and solvers that build on a
    set build on it. A pick's score is its score under its own term; its batch is the term.
    """

    kind: Literal["per-term"] = "per-term"

    solver: AnySolver
    """Solver of every term."""

    references: ClassVar[tuple[str, ...]] = ("xie2023dsir",)

    def solve(self, problem: Problem) -> Picks:
        addends = problem.function.addends()
        weights = np.array([weight for weight, _ in addends])
        if (weights < 0).any() or not weights.any():
            raise InputError(
                f"solver per-term splits the budget by the weights of the terms, but they are {weights.tolist()}; "
                "give weights of at least 0, not all of them 0"
            )
        amount = problem.budget.amount
        chosen, spent, parts = problem.chosen, 0, []
        targets = np.cumsum(quotas(weights, np.full(len(weights), amount), amount))
        for t, (target, (_, term)) in enumerate(zip(targets, addends, strict=True)):
            # in tokens a document too long for one term is charged to the next
            if target <= spent:
                continue
            budget = replace(problem.budget, amount=int(target) - spent)
            found = self.solver.solve(Problem(problem.pool, term, budget, problem.context, chosen))
            chosen = np.concatenate([chosen, found.rows])
            spent += len(found.rows) if budget.unit == "documents" else int(problem.pool.tokens[found.rows].sum())
            parts.append((t, found))
        rows = np.concatenate([found.rows for _, found in parts])
        terms = (
            own_terms(problem.function, rows)
            if problem.function.scores() is not None
            else marginals(problem.function, rows, problem.chosen)[1]
        )
        return Picks(
            rows,
            np.concatenate([found.scores for _, found in parts]),
            dict(zip(problem.function.names, terms.T, strict=True)),
            np.repeat([t for t, _ in parts], [len(found.rows) for _, found in parts]),
        )
