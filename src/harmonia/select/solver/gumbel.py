"""Sampling without replacement by score: the largest of z(score) + temperature x Gumbel noise.

The noise belongs to the document's id, so a smaller budget is a prefix of a larger one and shards agree. A constant
score gives uniform sampling, log importance weights give DSIR (Xie et al. 2023, arXiv 2302.03169), quality ratings
give QuRating (Wettig et al. 2024, arXiv 2402.09739).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from harmonia.core.seeds import gumbels
from harmonia.maths.gumbel import gumbel_keys, standardise
from harmonia.select.solver.base import Picks, Problem, Solver
from harmonia.select.solver.modular import own_scores, own_terms
from harmonia.select.solver.shares import Chosen, Share, spend, whole


class Gumbel(Solver):
    """Draws documents without replacement with probabilities softmax(score / temperature)."""

    kind: Literal["gumbel"] = "gumbel"

    temperature: float = Field(1.0, ge=0)
    """0 takes the highest scores, large values draw uniformly. QuRating recommends 2."""
    normalise: bool = True
    """Divide scores by their standard deviation first, so that the temperature has no unit. DSIR does not."""

    references: ClassVar[tuple[str, ...]] = ("kool2019stochastic",)

    def solve(self, problem: Problem) -> Picks:
        scores = own_scores(problem, self.kind)
        keys = gumbel_keys(
            standardise(scores) if self.normalise else scores,
            gumbels(problem.pool.keys, problem.context.seed, "gumbel"),
            self.temperature,
        )

        def take(share: Share) -> Chosen:
            rows = share.rows[share.top(keys[share.rows])]
            return Chosen(rows, scores[rows], own_terms(problem.function, rows))

        return spend(problem, [whole(problem)], take)
