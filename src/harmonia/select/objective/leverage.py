"""Ridge leverage: documents whose vectors the set so far explains least, x^T (X_S^T X_S + ridge I)^{-1} x.

Picking the largest leverage, one at a time, is greedy for f(S) = log det(I + X_S X_S^T / ridge) / size on the raw
vectors (Alaoui & Mahoney 2015 for ridge leverage scores).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.maths.leverage import LeverageClimb
from harmonia.maths.log_det import log_dets
from harmonia.maths.rows import Matrix
from harmonia.select.context import Context
from harmonia.select.objective.base import Objective
from harmonia.select.objective.vectors import VectorSetFunction, raw_rows
from harmonia.select.pool import Pool


class Leverage(Objective):
    """Information gained about a linear model on the features: log(1 + leverage) per pick, over size.

    The vectors keep their lengths, so long ones are preferred. Gains add up to f(S).
    """

    kind: Literal["leverage"] = "leverage"
    references: ClassVar[tuple[str, ...]] = ("alaoui2015leverage",)

    ridge: float = Field(default=1e-5, gt=0)
    """Fixed ridge, in squared units of the features."""

    def fit(self, pool: Pool, context: Context) -> Information:
        return Information(raw_rows(pool, context, "leverage", np.float64), self.ridge)


class Information(VectorSetFunction):
    """f = log det(I + X_S X_S^T / ridge) / size."""

    def __init__(self, vectors: Matrix, ridge: float) -> None:
        super().__init__("leverage", vectors)
        self.ridge = ridge

    def grow(self, X: Any, size: int) -> LeverageClimb:
        return LeverageClimb(X, self.ridge, 1.0 / size)

    def values(self, X: Any, sets: np.ndarray) -> np.ndarray:
        return log_dets(X, sets, self.ridge) / sets.shape[1] - np.log(self.ridge)
