"""Stochastic greedy: each pick is the best of a random sample of (n / k) log(1 / delta) documents.

Factor 1 - 1/e - delta in expectation for monotone submodular objectives, with n log(1/delta) gains in all
(Mirzasoleiman et al. 2015, "Lazier Than Lazy Greedy", arXiv 1409.7938).
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.core.seeds import generator, mix
from harmonia.maths.climb import Climb
from harmonia.maths.greedy import Sampled, Search
from harmonia.maths.ledger import Ledger
from harmonia.select.solver.base import Picks, Problem, Solver
from harmonia.select.solver.climbing import climb_share
from harmonia.select.solver.shares import Share, spend, whole


class StochasticGreedy(Solver):
    """Greedy that looks at a fresh random sample of the pool for every pick."""

    kind: Literal["stochastic-greedy"] = "stochastic-greedy"

    delta: float = Field(0.01, gt=0, lt=1)
    """Loss in the guarantee; the sample holds (n / k) log(1 / delta) documents."""

    references: ClassVar[tuple[str, ...]] = ("mirzasoleiman2015lazier",)

    def solve(self, problem: Problem) -> Picks:
        seed = problem.context.seed

        def search(share: Share, climb: Climb, ledger: Ledger, rows: np.ndarray) -> Search:
            sample = math.ceil(len(share.rows) / share.size * math.log(1 / self.delta))
            # positions in an order of the ids' own, so that the order of the pool does not matter
            order = np.argsort(mix(problem.pool.keys[rows], seed, "stochastic-greedy"), kind="stable")
            return Sampled(climb, ledger, order, max(1, sample), lambda turn: generator(seed, "sample", turn))

        picks = spend(
            problem,
            [whole(problem)],
            lambda share: climb_share(
                problem, share, problem.function.climb, lambda *state: search(share, *state), lambda *state: None
            ),
        )
        picks.facts["gain"] = float(picks.scores.sum())
        return picks
