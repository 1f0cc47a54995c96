"""Graph cut: similar to the pool, but not to each other (Lin & Bilmes 2010), with a linear kernel.

f(S) = (sum_{i in V, j in S} z_i . z_j - lambda sum_{i, j in S} z_i . z_j) / (n size) over unit vectors z.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.maths.graph_cut import GraphCutClimb, graph_cuts
from harmonia.maths.rows import Matrix
from harmonia.select.context import Context
from harmonia.select.objective.base import Objective
from harmonia.select.objective.vectors import VectorSetFunction, ZeroRule, unit_rows
from harmonia.select.pool import Pool


class GraphCut(Objective):
    """Mean similarity of members to the pool, minus ``redundancy`` times that among members (weighted by size / n).

    One product with the pool per pick, no kernel matrix. Gains add up to f(S).
    """

    kind: Literal["graph-cut"] = "graph-cut"
    references: ClassVar[tuple[str, ...]] = ("lin2010budgeted",)

    redundancy: float = Field(default=0.5, ge=0)
    """lambda; for similarities that are never negative f is monotone up to 1/2."""
    zero: ZeroRule = "error"
    """A zero vector has no direction: error names the documents, drop never chooses them."""

    def fit(self, pool: Pool, context: Context) -> Cut:
        rows, empty = unit_rows(pool, context, "graph-cut", zero=self.zero)
        return Cut(rows, empty, self.redundancy)


class Cut(VectorSetFunction):
    """f = (similarity to all rows - redundancy x similarity inside the set) / (n size)."""

    def __init__(self, vectors: Matrix, excluded: np.ndarray, redundancy: float) -> None:
        super().__init__("graph-cut", vectors, excluded)
        self.redundancy = redundancy

    def grow(self, X: Any, size: int) -> GraphCutClimb:
        return GraphCutClimb(X, self.redundancy, 1.0 / (X.shape[0] * size))

    def values(self, X: Any, sets: np.ndarray) -> np.ndarray:
        return graph_cuts(X, sets, self.redundancy) / (X.shape[0] * sets.shape[1])
