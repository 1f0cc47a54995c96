"""Pairwise diversity: one minus the mean cosine between members (DATAMASK, Fan et al. 2026, arXiv 2512.24265).

f(S) = 1 - (||sum_S z||^2 - |S|) / (|S| (|S| - 1)) over unit vectors z: the sum identity makes it linear in |S|.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from harmonia.maths.pairwise_similarity import PairwiseClimb, PairwiseRelaxation, pairwise_diversity
from harmonia.select.context import Context
from harmonia.select.objective.base import Objective
from harmonia.select.objective.vectors import VectorSetFunction, ZeroRule, unit_rows
from harmonia.select.pool import Pool


class Pairwise(Objective):
    """One minus the mean cosine between members: high when they point in different directions.

    Concave in a fractional membership, so Frank-Wolfe certifies how good a set is. Gains add up to f(S) - 1.
    """

    kind: Literal["pairwise"] = "pairwise"
    references: ClassVar[tuple[str, ...]] = ("fan2026datamask",)

    zero: ZeroRule = "error"
    """A zero vector has no direction: error names the documents, drop never chooses them."""

    def fit(self, pool: Pool, context: Context) -> PairwiseDiversity:
        return PairwiseDiversity("pairwise", *unit_rows(pool, context, "pairwise", zero=self.zero))


class PairwiseDiversity(VectorSetFunction):
    """f = 1 - mean off-diagonal cosine; the value at a set of one is 1."""

    def grow(self, X: Any, size: int) -> PairwiseClimb:
        return PairwiseClimb(X, size)

    def values(self, X: Any, sets: np.ndarray) -> np.ndarray:
        return np.array([pairwise_diversity(X[members]) for members in sets])

    def relax(self, size: int) -> PairwiseRelaxation:
        return PairwiseRelaxation(self.whole, size, self.excluded)
