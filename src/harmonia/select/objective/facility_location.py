"""Facility location: every document of the pool should have a similar one in the set (Nemhauser et al. 1978).

f(S) = (1/n) sum_i max_{j in S} max(0, z_i . z_j) over unit vectors z; monotone submodular, so greedy is within 1 - 1/e.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from harmonia.maths.facility_location import FacilityLocationClimb, coverages
from harmonia.select.context import Context
from harmonia.select.objective.base import Objective
from harmonia.select.objective.vectors import VectorSetFunction, ZeroRule, unit_rows
from harmonia.select.pool import Pool


class FacilityLocation(Objective):
    """Mean similarity of a document of the pool to its nearest in the set, in [0, 1].

    Similarities are made as they are needed, n d of memory; the first pick costs n^2 d, later ones little with lazy
    greedy.
    In a batched solver each batch covers itself. Gains add up to f(S).
    """

    kind: Literal["facility-location"] = "facility-location"
    references: ClassVar[tuple[str, ...]] = ("nemhauser1978analysis", "minoux1978accelerated")

    zero: ZeroRule = "error"
    """A zero vector has no direction: error names the documents, drop never chooses them."""

    def fit(self, pool: Pool, context: Context) -> Coverage:
        return Coverage("facility-location", *unit_rows(pool, context, "facility-location", zero=self.zero))


class Coverage(VectorSetFunction):
    """f = mean over the rows of the largest clipped cosine to a member."""

    def grow(self, X: Any, size: int) -> FacilityLocationClimb:
        return FacilityLocationClimb(X, 1.0 / X.shape[0])

    def values(self, X: Any, sets: np.ndarray) -> np.ndarray:
        return coverages(X, sets) / X.shape[0]
