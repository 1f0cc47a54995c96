"""The vectors of a pool as set functions take them: checked, scaled as they are read, and never copied when large."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any, Literal

import numpy as np

from harmonia.core.errors import InputError
from harmonia.maths.climb import Climb
from harmonia.maths.rows import Matrix
from harmonia.maths.scaled_rows import ScaledRows, column_moments, first_not_finite, resident, row_norms
from harmonia.select.context import Context
from harmonia.select.pool import Pool
from harmonia.select.set_function import SetFunction

ZeroRule = Literal["error", "drop"]

_TINY = 1e-10


def raw_rows(pool: Pool, context: Context, what: str, dtype: Any) -> ScaledRows:
    """Return the features as they are, read in ``dtype``.

    Raises:
        InputError: there are none, they are not numbers, or not finite.
    """
    matrix = _numeric(pool, context, what)
    _check_finite(pool, matrix, what)
    return ScaledRows(matrix, dtype=dtype)


def moments(pool: Pool, context: Context, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the variance of every feature over the pool: two (d,) float64; rounding counts as 0 variance.

    Raises:
        InputError: features that are not numbers, not finite, or constant in every column.
    """
    matrix = _numeric(pool, context, what)

    def make() -> dict[str, np.ndarray]:
        mean, variance = column_moments(matrix)
        if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
            _check_finite(pool, matrix, what)
        variance[variance <= (_TINY * mean) ** 2] = 0.0
        return {"mean": mean, "variance": variance}

    kept = context.keep("vectors-moments", make)
    if not kept["variance"].any():
        raise InputError(
            f"{what}: all {matrix.shape[1]} feature columns are constant over the pool, so every set is "
            "alike; use other features"
        )
    return kept["mean"], kept["variance"]


def centred_rows(pool: Pool, context: Context, what: str, dtype: Any, *, standardise: bool = False) -> ScaledRows:
    """Return the features minus the pool mean, divided by the pool's standard deviation when ``standardise``."""
    mean, variance = moments(pool, context, what)
    deviation = np.sqrt(np.where(variance > 0, variance, 1.0)) if standardise else None
    return ScaledRows(pool.need_features(what), mean, deviation, dtype=dtype)


def unit_rows(
    pool: Pool,
    context: Context,
    what: str,
    *,
    centre: bool = False,
    standardise: bool = False,
    zero: ZeroRule = "error",
) -> tuple[ScaledRows, np.ndarray]:
    """Return the features scaled to length 1, and which rows have no direction: (n,) bool.

    Args:
        pool: the documents.
        context: services of the run.
        what: kind of the objective, for messages.
        centre: subtract the pool mean first.
        standardise: divide by the pool's standard deviations after centring.
        zero: what to do about rows of length 0; a dropped one reads as 0 and is never chosen.

    Raises:
        InputError: unusable features, or a row of length 0 under ``zero="error"``.
    """
    matrix = _numeric(pool, context, what)
    mean = deviation = None
    if centre:
        mean, variance = moments(pool, context, what)
        deviation = np.sqrt(np.where(variance > 0, variance, 1.0)) if standardise else None
        slope = 1.0 if deviation is None else 1 / deviation
        length = float(np.sqrt(((mean**2 + variance) * slope**2).sum()))

    def make() -> dict[str, np.ndarray]:
        norms = row_norms(ScaledRows(matrix, mean, deviation, dtype=np.float64))
        if not np.isfinite(norms).all():
            _check_finite(pool, matrix, what)
        return {"norms": norms}

    norms = context.keep(f"vectors-norms{'-centred' * centre}{'-standardised' * standardise}", make)["norms"]
    if not centre:
        length = float(np.sqrt(np.square(norms).mean()))
    empty = norms <= _TINY * length
    if empty.any() and zero == "error":
        raise InputError(_zero_message(pool, what, np.flatnonzero(empty), centre))
    if empty.all():
        raise InputError(f"{what}: every feature vector is zero; use other features")
    weights = np.divide(1, norms, out=np.zeros_like(norms), where=~empty)
    return ScaledRows(matrix, mean, deviation, weights, context.dtype), empty


def _numeric(pool: Pool, context: Context, what: str) -> Matrix:
    matrix = pool.need_features(what)
    kind = np.dtype(matrix.dtype).kind
    if kind in "biu":
        context.warn(f"{what}: the features are {np.dtype(matrix.dtype).name}; they are taken as real numbers")
    elif kind != "f":
        raise InputError(f"{what}: the features are {np.dtype(matrix.dtype).name}, not real numbers")
    if len(matrix.shape) != 2 or matrix.shape[1] < 1:
        raise InputError(f"{what}: the features have shape {tuple(matrix.shape)}; one vector per document is needed")
    return matrix


def _check_finite(pool: Pool, matrix: Matrix, what: str) -> None:
    bad = first_not_finite(matrix)
    if bad is not None:
        raise InputError(
            f"{what}: the features of document {pool.name_of(bad)!r} hold NaN or an infinity; embed it again or drop it"
        )


def _zero_message(pool: Pool, what: str, rows: np.ndarray, centre: bool) -> str:
    names = ", ".join(repr(pool.name_of(int(row))) for row in rows[:5]) + (", ..." if len(rows) > 5 else "")
    why = "equal the pool mean" if centre else "are zero"
    return (
        f"{what}: the features of {len(rows)} document{'s' * (len(rows) > 1)} ({names}) {why} and have no "
        "direction; drop them, or set zero=drop on the objective"
    )


class ExcludingClimb:
    """A climb in which some rows must not be chosen: their gain is -inf."""

    def __init__(self, climb: Climb, excluded: np.ndarray) -> None:
        self.size = climb.size
        self.diminishing = climb.diminishing
        self.incremental = climb.incremental
        self._climb = climb
        self._excluded = excluded

    def gains(self, rows: np.ndarray | None = None) -> np.ndarray:
        excluded = self._excluded if rows is None else self._excluded[rows]
        return np.where(excluded, -np.inf, self._climb.gains(rows))

    def add(self, row: int) -> None:
        self._climb.add(row)


class VectorSetFunction(SetFunction):
    """f given by the vectors of the members: a subclass says how it grows and what it is worth.

    Args:
        name: column name of the term.
        vectors: (n, d) rows as the maths takes them.
        excluded: (n,) bool, rows that must not be chosen; a set with one is worth -inf.
    """

    def __init__(self, name: str, vectors: Matrix, excluded: np.ndarray | None = None) -> None:
        self.names = (name,)
        self.n = vectors.shape[0]
        self.vectors = vectors
        self.excluded = excluded if excluded is not None and excluded.any() else None

    def forbidden(self) -> np.ndarray:
        return np.zeros(self.n, bool) if self.excluded is None else self.excluded

    @abstractmethod
    def grow(self, X: Any, size: int) -> Climb:
        """Return the climb over candidate rows X (m, d)."""

    @abstractmethod
    def values(self, X: Any, sets: np.ndarray) -> np.ndarray:
        """Return f of each set: rows X (m, d) and (G, S) indices into them -> (G,) float64."""

    @cached_property
    def whole(self) -> Matrix:
        """All vectors: one array in memory where that is small, else read by blocks."""
        return resident(self.vectors)

    def climb(self, rows: np.ndarray | None, size: int) -> Climb:
        climb = self.grow(self.whole if rows is None else self.vectors[np.asarray(rows)], size)
        if self.excluded is None:
            return climb
        return ExcludingClimb(climb, self.excluded if rows is None else self.excluded[rows])

    def evaluate(self, sets: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        sets = np.asarray(sets)
        values = self.values(self.whole if rows is None else self.vectors[np.asarray(rows)], sets)
        if self.excluded is not None:
            excluded = self.excluded if rows is None else self.excluded[rows]
            values[excluded[sets].any(axis=1)] = -np.inf
        return values
