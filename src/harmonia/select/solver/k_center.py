"""k-center: farthest-first traversal of the features, so that every document has a pick nearby.

Each pick is the document farthest from all picks so far; the covering radius is at most twice the best possible
(Gonzalez 1985; as a core-set: Sener & Savarese 2018, arXiv 1708.00489).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from harmonia.core.seeds import mix
from harmonia.maths.climb import Climb
from harmonia.maths.farthest import FarthestClimb
from harmonia.maths.greedy import Scan
from harmonia.maths.ledger import Ledger
from harmonia.select.solver.base import Picks, Problem, Solver
from harmonia.select.solver.climbing import climb_share
from harmonia.select.solver.marginals import marginals
from harmonia.select.solver.shares import Chosen, Share, spend, whole
from harmonia.select.subset import rows_of


class KCenter(Solver):
    """The document farthest from those picked so far, in Euclidean distance of the features.

    The objective plays no part but for its columns and the documents that it excludes. The first pick is random, by id
    and seed. A pick's score is its distance to the picks before it, 0 for the first.
    """

    kind: Literal["k-center"] = "k-center"

    references: ClassVar[tuple[str, ...]] = ("gonzalez1985clustering", "sener2018active")

    def solve(self, problem: Problem) -> Picks:
        features = problem.pool.need_features("solver k-center")

        def climb_over(rows: np.ndarray | None, size: int) -> Climb:
            return FarthestClimb(features if rows is None else rows_of(features, rows), problem.context.dtype)

        def search(climb: Climb, ledger: Ledger, rows: np.ndarray) -> Scan:
            return Scan(climb, ledger)

        def start(climb: Climb, ledger: Ledger, rows: np.ndarray) -> int | None:
            if len(problem.chosen):
                return None
            candidates = np.flatnonzero(ledger.open)
            return int(candidates[np.argmin(mix(problem.pool.keys[rows[candidates]], problem.context.seed, "first"))])

        def take(share: Share) -> Chosen:
            found = climb_share(problem, share, climb_over, search, start)
            distances = np.sqrt(np.where(np.isinf(found.scores), 0.0, found.scores))
            return Chosen(found.rows, distances, marginals(problem.function, found.rows, problem.chosen)[1])

        return spend(problem, [whole(problem)], take)
