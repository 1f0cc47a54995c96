"""Facility location over nearest neighbours only: n m of memory and picks that cost next to nothing.

f(S) = (1/n) sum_i max over j in S among the m nearest neighbours of i of max(0, z_i . z_j).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.maths.neighbour_coverage import NeighbourCoverageClimb, nearest_neighbours
from harmonia.maths.rows import Matrix
from harmonia.select.context import Context
from harmonia.select.objective.base import Objective
from harmonia.select.objective.vectors import VectorSetFunction, ZeroRule, unit_rows
from harmonia.select.pool import Pool


class NeighbourCoverage(Objective):
    """Facility location that counts only the nearest neighbours of each document, for large budgets.

    A document none of whose neighbours is chosen counts 0, so f is a lower bound of facility location, equal to it
    when ``neighbours`` is the size of the pool. The neighbours cost n^2 d once. Gains add up to f(S).
    """

    kind: Literal["neighbour-coverage"] = "neighbour-coverage"
    references: ClassVar[tuple[str, ...]] = ("nemhauser1978analysis",)

    neighbours: int = Field(default=64, ge=1)
    """m, the nearest documents kept for each, itself among them; the whole pool when that is smaller."""
    zero: ZeroRule = "error"
    """A zero vector has no direction: error names the documents, drop never chooses them."""

    def fit(self, pool: Pool, context: Context) -> NearCoverage:
        rows, empty = unit_rows(pool, context, "neighbour-coverage", zero=self.zero)
        return NearCoverage(rows, empty, self.neighbours)


class NearCoverage(VectorSetFunction):
    """f = mean over the rows of the largest clipped cosine to a member among their m nearest."""

    def __init__(self, vectors: Matrix, excluded: np.ndarray, neighbours: int) -> None:
        super().__init__("neighbour-coverage", vectors, excluded)
        self.neighbours = neighbours

    def grow(self, X: Any, size: int) -> NeighbourCoverageClimb:
        n = X.shape[0]
        return NeighbourCoverageClimb(*nearest_neighbours(X, min(self.neighbours, n)), 1.0 / n)

    def values(self, X: Any, sets: np.ndarray) -> np.ndarray:
        n = X.shape[0]
        rows, similarities = nearest_neighbours(X, min(self.neighbours, n))
        values = np.empty(len(sets))
        member = np.zeros(n, bool)
        for g, members in enumerate(sets):
            member[members] = True
            values[g] = np.where(member[rows], similarities, 0).max(axis=1).mean(dtype=np.float64)
            member[members] = False
        return values
