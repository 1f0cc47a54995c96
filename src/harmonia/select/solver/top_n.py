"""Top-n: the documents of highest score. The optimum of every objective that is a sum over documents."""

from __future__ import annotations

from typing import Literal

from harmonia.select.solver.base import Picks, Problem, Solver
from harmonia.select.solver.modular import own_scores, own_terms
from harmonia.select.solver.shares import Chosen, Share, spend, whole


class TopN(Solver):
    """The documents of highest score; of equal scores the document of smaller hashed id goes first."""

    kind: Literal["top-n"] = "top-n"

    def solve(self, problem: Problem) -> Picks:
        scores = own_scores(problem, self.kind)
        if len(scores) > 1 and (scores == scores[0]).all():
            problem.context.warn(
                "all documents have the same score; which ones are taken is decided by their ids alone"
            )

        def take(share: Share) -> Chosen:
            rows = share.rows[share.top(scores[share.rows])]
            return Chosen(rows, scores[rows], own_terms(problem.function, rows))

        return spend(problem, [whole(problem)], take)
