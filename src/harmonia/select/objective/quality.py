"""The documents' own quality scores: one column, or a weighted sum of several, on a chosen scale.

f(S) = mean over S of sum_c w_c s_c(q_c), as FineWeb-Edu (arXiv 2406.17557), DCLM (2406.11794) and QuRating
(2402.09739) use them. Scores of classifiers often grow with length: look at the mean length of what is chosen.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from harmonia.core.errors import InputError
from harmonia.select.context import Context
from harmonia.select.objective.base import Objective
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular


class Quality(Objective):
    """Quality columns of the pool, scaled and summed."""

    kind: Literal["quality"] = "quality"

    column: str | None = None
    """The quality column; may be left out when the pool has only one."""
    weights: dict[str, float] = Field(default_factory=dict)
    """Column -> weight, for a sum of several columns; instead of ``column``."""
    scale: Literal["none", "z", "rank"] = "none"
    """Scale of each column before the sum: as it is; minus mean, over standard deviation; or mean rank in [0, 1]."""

    references: ClassVar[tuple[str, ...]] = ("penedo2024fineweb", "li2024dclm")

    @model_validator(mode="after")
    def _one_way(self) -> Quality:
        if self.column is not None and self.weights:
            raise ValueError("give either column or weights, not both")
        return self

    def fit(self, pool: Pool, context: Context) -> Modular:
        total = np.zeros(len(pool))
        columns: list[tuple[str | None, float]] = [*self.weights.items()] or [(self.column, 1.0)]
        for column, weight in columns:
            values = pool.need_quality(column, "quality")
            if len(values) > 1 and np.ptp(values) == 0:
                name = column if column is not None else next(iter(pool.quality))
                context.warn(f"quality column {name!r} is {values[0]:g} for every document: it tells none from another")
            total += weight * scaled(values, self.scale)
        return Modular("quality", total)


def scaled(values: np.ndarray, scale: str) -> np.ndarray:
    """Return values as they are ("none"), standardised ("z"), or as mean ranks in [0, 1] ("rank"): (n,) float64.

    A constant column becomes 0 ("z") or 1/2 ("rank").

    Raises:
        InputError: no such scale.

    >>> scaled(np.array([3., 1., 1.]), "rank").tolist()
    [1.0, 0.25, 0.25]
    """
    values = np.asarray(values, np.float64)
    if scale == "none":
        return values
    if scale == "z":
        spread = values.std()
        return (values - values.mean()) / spread if np.ptp(values) > 0 else np.zeros(len(values))
    if scale == "rank":
        _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
        if len(values) == 1:
            return np.full(1, 0.5)
        return (np.cumsum(counts) - (counts + 1) / 2)[place] / (len(values) - 1)
    raise InputError(f"no scale {scale!r}; known: none, z, rank")
