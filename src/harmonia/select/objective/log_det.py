"""Log-determinant: the volume that the chosen vectors span, the MAP objective of a determinantal point process.

f(S) = log det(ridge I + L_S) / size, L_ij = q_i q_j z_i . z_j over unit vectors z (Kulesza & Taskar 2012); greedy by
incremental Cholesky (Chen, Zhang & Zhou 2018, arXiv 1709.05135).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.maths.log_det import LogDetClimb, log_dets
from harmonia.maths.rows import Matrix
from harmonia.maths.scaled_rows import ScaledRows
from harmonia.select.context import Context
from harmonia.select.objective.base import Objective
from harmonia.select.objective.vectors import VectorSetFunction, ZeroRule, unit_rows
from harmonia.select.pool import Pool


class LogDet(Objective):
    """Log-volume per document of the chosen vectors, quality-weighted when a column is named.

    With ``ridge=0`` no more documents than feature dimensions can be told apart; further picks have the gain
    log(1e-12) / size each and go by row. Gains add up to f(S).
    """

    kind: Literal["log-det"] = "log-det"
    references: ClassVar[tuple[str, ...]] = ("kulesza2012dpp", "chen2018dpp")

    ridge: float = Field(default=1.0, ge=0)
    """Added to the diagonal of the kernel; 1 is log det(I + L), 0 the plain determinant."""
    quality: str | None = None
    """Quality column q that multiplies the vectors, above 0; without one q = 1."""
    zero: ZeroRule = "error"
    """A zero vector has no direction: error names the documents, drop never chooses them."""

    def fit(self, pool: Pool, context: Context) -> LogVolume:
        rows, empty = unit_rows(pool, context, "log-det", zero=self.zero)
        rows = rows.in_type(np.float64)
        if self.quality is not None:
            q = pool.need_quality(self.quality, "log-det")
            if (q <= 0).any():
                row = int(np.flatnonzero(q <= 0)[0])
                raise InputError(
                    f"log-det: quality column {self.quality!r} is {q[row]:g} at document "
                    f"{pool.name_of(row)!r}; weights must be above 0: shift or rank the scores"
                )
            rows = ScaledRows(rows, weights=q, dtype=np.float64)
        return LogVolume(rows, empty, self.ridge, context)


class LogVolume(VectorSetFunction):
    """f = log det(ridge I + X_S X_S^T) / size."""

    def __init__(self, vectors: Matrix, excluded: np.ndarray, ridge: float, context: Context) -> None:
        super().__init__("log-det", vectors, excluded)
        self.ridge = ridge
        self.context = context

    def grow(self, X: Any, size: int) -> LogDetClimb:
        if self.ridge == 0 and size > X.shape[1]:
            self.context.warn(
                f"log-det: {size} picks from vectors of {X.shape[1]} dimensions without a ridge: all "
                f"after the first {X.shape[1]} are arbitrary; set ridge=1"
            )
        return LogDetClimb(X, self.ridge, 1.0 / size)

    def values(self, X: Any, sets: np.ndarray) -> np.ndarray:
        return log_dets(X, sets, self.ridge) / sets.shape[1]
