"""Greedy: take the document of largest marginal gain, over the whole pool or inside batches of it.

Factor 1 - 1/e of the optimum for monotone submodular objectives (Nemhauser, Wolsey & Fisher 1978). In batches, as DiSF
does (Fan et al. 2025, arXiv 2504.20644), each batch is solved on its own, so memory does not grow with the pool.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.core.seeds import mix, stable_hash
from harmonia.maths.climb import Climb
from harmonia.maths.greedy import Lazy, Scan, Search
from harmonia.maths.ledger import Ledger
from harmonia.select.solver.base import Picks, Problem, Solver
from harmonia.select.solver.climbing import climb_share
from harmonia.select.solver.shares import Chosen, Share, spend, split, whole


class Greedy(Solver):
    """The document of largest marginal gain first, then the next, over the pool or in batches.

    Gains are looked up lazily where the objective allows it; the picks are those of the full scan.
    """

    kind: Literal["greedy"] = "greedy"

    batch: Annotated[int, Field(ge=1)] | Literal["all"] = "all"
    """Documents per batch, each solved on its own with its part of the budget, or "all" for the whole pool.
    DiSF uses 1024."""
    order: Literal["shuffled", "given"] = "shuffled"
    """How documents are dealt to batches: at random by id and seed, or as they were read."""
    first: str = "best"
    """First document of each batch: "best", "random" (by id and seed), or the id of a document."""

    references: ClassVar[tuple[str, ...]] = ("nemhauser1978analysis", "minoux1978accelerated")

    def solve(self, problem: Problem) -> Picks:
        shares = [whole(problem)] if self.batch == "all" else self._batches(problem, self.batch)
        picks = spend(problem, shares, partial(self._take, problem, self._first_key(problem)))
        picks.facts["batches"] = len(shares)
        if len(shares) == 1:
            picks.facts["gain"] = float(picks.scores.sum())
        return picks

    def _batches(self, problem: Problem, batch: int) -> list[Share]:
        n = len(problem.pool)
        if n < batch:
            problem.context.warn(f"the pool has {n} documents, fewer than solver.batch={batch}: it is one batch")
        groups = np.empty(n, np.int64)
        order = (
            np.argsort(mix(problem.pool.keys, problem.context.seed, "batches"), kind="stable")
            if self.order == "shuffled"
            else np.arange(n)
        )
        groups[order] = np.arange(n) // batch
        return split(problem, groups, closed=problem.forbidden)

    def _take(self, problem: Problem, key: np.uint64 | None, share: Share) -> Chosen:
        def start(climb: Climb, ledger: Ledger, rows: np.ndarray) -> int | None:
            candidates = np.flatnonzero(ledger.open)
            if self.first == "best" or not len(candidates):
                return None
            if key is not None:
                found = candidates[problem.pool.keys[rows[candidates]] == key]
                return int(found[0]) if len(found) else None
            if len(problem.chosen):
                return None
            drawn = np.argsort(mix(problem.pool.keys[rows[candidates]], problem.context.seed, "first"), kind="stable")
            return int(candidates[drawn[0]])

        return climb_share(problem, share, problem.function.climb, _search, start)

    def _first_key(self, problem: Problem) -> np.uint64 | None:
        if self.first in ("best", "random"):
            return None
        key = stable_hash([self.first])[0]
        named = problem.pool.keys == key
        if not named.any():
            raise InputError(
                f"solver.first: no document has the id {self.first!r}; give best, random or an id of the pool"
            )
        if problem.forbidden[named].any():
            raise InputError(f"solver.first: the objective excludes document {self.first!r}; give another id")
        return key


def _search(climb: Climb, ledger: Ledger, rows: np.ndarray) -> Search:
    return Lazy(climb, ledger) if climb.diminishing and not climb.incremental else Scan(climb, ledger)
