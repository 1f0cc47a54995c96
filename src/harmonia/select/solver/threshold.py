"""Threshold: every document whose score reaches a bar, best first, up to the budget.

FineWeb-Edu keeps a rounded score of at least 3 (Penedo et al. 2024, arXiv 2406.17557).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from harmonia.core.errors import InputError
from harmonia.select.solver.base import Picks, Problem, Solver
from harmonia.select.solver.modular import own_scores, own_terms
from harmonia.select.solver.shares import Chosen, Share, spend, whole


class Threshold(Solver):
    """Documents with score >= least, best first, at most the budget: fewer when fewer reach the bar."""

    kind: Literal["threshold"] = "threshold"

    least: float = 0.0
    """The bar, in the unit of the objective's score."""

    references: ClassVar[tuple[str, ...]] = ("penedo2024fineweb",)

    def solve(self, problem: Problem) -> Picks:
        scores = own_scores(problem, self.kind)
        passing = scores >= self.least
        if not passing.any():
            raise InputError(f"no document reaches solver.least={self.least:g}; the highest score is {scores.max():g}")

        def take(share: Share) -> Chosen:
            rows = share.rows[share.top(np.where(passing, scores, -np.inf)[share.rows])]
            return Chosen(rows, scores[rows], own_terms(problem.function, rows))

        picks = spend(problem, [whole(problem)], take, complete=False)
        picks.facts["passing"] = int(passing.sum())
        return picks
