"""Decorrelation: the chosen vectors should use all directions alike (DiSF, Fan et al. 2025, arXiv 2504.20644).

Four ways to put features on one scale give four objectives, each minus a squared Frobenius norm:
per_set the correlation of the set, pool_unit the second moment of centred unit rows, covariance the raw covariance,
participation the covariance over its trace.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from harmonia.core.errors import InputError
from harmonia.maths.array_namespace import on_accelerator
from harmonia.maths.climb import Climb
from harmonia.maths.decorrelation import EPS, correlation_energy, covariance_energy, inverse_participation
from harmonia.maths.decorrelation_covariance import CovarianceClimb, ParticipationClimb
from harmonia.maths.decorrelation_per_set import PerSetClimb
from harmonia.maths.decorrelation_pool_unit import MomentRelaxation, PoolUnitClimb, set_energies
from harmonia.maths.equal_rows import count_duplicates
from harmonia.maths.rows import Matrix
from harmonia.maths.spectrum import Scatter
from harmonia.select.context import Context
from harmonia.select.objective.base import Objective
from harmonia.select.objective.vectors import VectorSetFunction, ZeroRule, centred_rows, moments, raw_rows, unit_rows
from harmonia.select.pool import Pool
from harmonia.select.set_function import Relaxation


class Decorrelation(Objective):
    """Minus the correlation among the features of the chosen set: a flat spectrum, no dimensional collapse.

    Blind to quality; combine it with a quality term where that matters. Gains over greedy picks add up to f(S).
    """

    kind: Literal["decorrelation"] = "decorrelation"
    references: ClassVar[tuple[str, ...]] = ("fan2025disf",)

    normalise: Literal["per_set", "pool_unit", "covariance", "participation"] = "pool_unit"
    """pool_unit (recommended): f = -||sum u u^T||_F^2 / size^2 in [-1, 0), u the rows minus the pool mean, of length 1.
    per_set: f = minus the mean squared off-diagonal correlation, each candidate set standardised anew, as DiSF's code.
    covariance: f = -||C_S||_F^2 / ||C_pool||_F^2; near-duplicates minimise it, kept for comparison only.
    participation: f = -||C_S||_F^2 / tr(C_S)^2, minus one over the participation ratio."""
    standardise: bool = False
    """Divide the centred columns by their standard deviation over the pool (not for per_set)."""
    second: Literal["official", "farthest"] = "official"
    """per_set only. Any two distinct rows are worth the same up to eps, so the official second pick hangs on eps;
    farthest takes the row farthest from the first."""
    eps: float = Field(default=EPS, gt=0)
    """per_set only: added to the variances."""
    zero: ZeroRule = "error"
    """pool_unit only: a row that equals the pool mean has no direction; error names it, drop never chooses it."""

    @model_validator(mode="after")
    def _fields_have_meaning(self) -> Self:
        for field, only in (("second", "per_set"), ("eps", "per_set"), ("zero", "pool_unit")):
            if self.normalise != only and getattr(self, field) != type(self).model_fields[field].default:
                raise ValueError(f"{field} has a meaning for normalise={only} only")
        if self.standardise and self.normalise == "per_set":
            raise ValueError("per_set standardises every set anew; standardise has no meaning there")
        return self

    def fit(self, pool: Pool, context: Context) -> VectorSetFunction:
        if self.normalise == "per_set":
            return self._per_set(pool, context)
        if self.normalise == "pool_unit":
            rows, empty = unit_rows(
                pool, context, "decorrelation", centre=True, standardise=self.standardise, zero=self.zero
            )
            return PoolUnit(rows, empty)
        centred = centred_rows(pool, context, "decorrelation", np.float64, standardise=self.standardise)
        if self.normalise == "participation":
            return Participation("decorrelation", centred)
        kept = context.keep(
            f"vectors-covariance{'-standardised' * self.standardise}",
            lambda: {"covariance": Scatter.of(centred).covariance()},
        )
        return Covariance(centred, float(np.square(kept["covariance"]).sum()))

    def _per_set(self, pool: Pool, context: Context) -> PerSet:
        features = pool.need_features("decorrelation")
        if features.shape[1] < 2:
            raise InputError("decorrelation: per_set needs at least 2 feature columns; one correlates with nothing")
        _, variance = moments(pool, context, "decorrelation")
        dead = int((variance == 0).sum())
        if dead:
            context.warn(
                f"decorrelation: {dead} of {len(variance)} feature columns are constant over the pool; a "
                "column constant in a set counts as uncorrelated and attracts per_set: drop them or use PCA"
            )
        copies = count_duplicates(features)
        if copies:
            context.warn(
                f"decorrelation: {copies} of {len(pool)} feature vectors are exact duplicates of an earlier "
                "one; per_set takes a duplicate of the first pick second: deduplicate first"
                + (" or set second=farthest" if self.second == "official" else "")
            )
        if self.second == "official":
            context.warn(
                "decorrelation: under per_set all distinct pairs are worth the same, so the second pick hangs "
                "on eps alone; second=farthest resolves it"
            )
        return PerSet(raw_rows(pool, context, "decorrelation", context.dtype), self.eps, self.second)


class PerSet(VectorSetFunction):
    """f = -F / (d (d - 1)), F the sum of squared off-diagonal correlations of the set."""

    def __init__(self, vectors: Matrix, eps: float, second: Literal["official", "farthest"]) -> None:
        super().__init__("decorrelation", vectors)
        self.eps = eps
        self.second = second

    def grow(self, X: Any, size: int) -> PerSetClimb:
        return PerSetClimb(_placed(X), self.eps, self.second)

    def values(self, X: Any, sets: np.ndarray) -> np.ndarray:
        d = self.vectors.shape[1]
        return np.array([-correlation_energy(X[members], self.eps) for members in sets]) / (d * (d - 1))


class PoolUnit(VectorSetFunction):
    """f = -||sum u u^T||_F^2 / size^2 over unit rows u."""

    def __init__(self, vectors: Matrix, excluded: np.ndarray | None = None) -> None:
        super().__init__("decorrelation", vectors, excluded)

    def grow(self, X: Any, size: int) -> PoolUnitClimb:
        return PoolUnitClimb(_placed(X), 1.0 / size**2)

    def values(self, X: Any, sets: np.ndarray) -> np.ndarray:
        return -set_energies(X, sets) / sets.shape[1] ** 2

    def relax(self, size: int) -> Relaxation:
        return MomentRelaxation(self.whole, size, self.excluded)


class Covariance(VectorSetFunction):
    """f = -||C||_F^2 / whole, C the covariance of the set."""

    def __init__(self, vectors: Matrix, energy: float) -> None:
        super().__init__("decorrelation", vectors)
        self.energy = energy

    def grow(self, X: Any, size: int) -> Climb:
        return CovarianceClimb(X, 1.0 / self.energy)

    def values(self, X: Any, sets: np.ndarray) -> np.ndarray:
        return np.array([-covariance_energy(X[members]) for members in sets]) / self.energy


class Participation(VectorSetFunction):
    """f = -||C||_F^2 / tr(C)^2, C the covariance of the set."""

    def grow(self, X: Any, size: int) -> Climb:
        return ParticipationClimb(X)

    def values(self, X: Any, sets: np.ndarray) -> np.ndarray:
        return np.array([-inverse_participation(X[members]) for members in sets])


def _placed(X: Any) -> Any:
    return on_accelerator(X) if isinstance(X, np.ndarray) else X
