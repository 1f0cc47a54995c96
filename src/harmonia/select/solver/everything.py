"""Everything: the whole pool, whatever the budget; what "train on all the data" means in a comparison."""

from __future__ import annotations

from typing import Literal

import numpy as np

from harmonia.select.solver.base import Picks, Problem, Solver
from harmonia.select.solver.modular import own_scores, own_terms


class Everything(Solver):
    """Takes every document, in the order of their scores, and does not look at the budget."""

    kind: Literal["everything"] = "everything"

    def solve(self, problem: Problem) -> Picks:
        scores = own_scores(problem, self.kind)
        rows = np.lexsort((problem.pool.keys, -scores))
        terms = own_terms(problem.function, rows)
        return Picks(
            rows, scores[rows], dict(zip(problem.function.names, terms.T, strict=True)), np.zeros(len(rows), np.int64)
        )
