"""A pool and a set function seen on some of the documents, and a set function that is fitted when it is needed.

Together they let a cheap rule narrow the pool before an expensive objective is fitted on what is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from harmonia.maths.climb import Climb
from harmonia.maths.rows import Matrix
from harmonia.select.context import Context
from harmonia.select.objective.base import Objective
from harmonia.select.pool import Pool
from harmonia.select.set_function import Relaxation, SetFunction


class _Taken:
    """Some rows of a matrix, read when asked for."""

    def __init__(self, matrix: Matrix, rows: np.ndarray) -> None:
        self._matrix = matrix
        self._rows = rows
        self.shape = (len(rows), *matrix.shape[1:])
        self.dtype = matrix.dtype

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self._matrix[self._rows[rows]]


def rows_of(matrix: Matrix, rows: np.ndarray) -> Matrix:
    """Return some rows of a matrix as a matrix that reads them when asked for."""
    return _Taken(matrix, rows)


def subpool(pool: Pool, rows: np.ndarray) -> Pool:
    """Return the pool of these documents alone, ascending ``rows`` of ``pool``; features and texts are not copied."""
    texts, features = pool.texts, pool.features

    def some_texts() -> Iterator[tuple[slice, list[str]]]:
        assert texts is not None
        for block, words in texts():
            start, stop = np.searchsorted(rows, [block.start, block.stop])
            if start < stop:
                yield slice(int(start), int(stop)), [words[row - block.start] for row in rows[start:stop]]

    return replace(
        pool,
        keys=pool.keys[rows],
        sources=pool.sources[rows],
        tokens=pool.tokens[rows],
        lengths=pool.lengths[rows],
        quality={name: values[rows] for name, values in pool.quality.items()},
        features=None if features is None else rows_of(features, rows),
        texts=None if texts is None else some_texts,
        name_of=lambda row: pool.name_of(int(rows[row])),
    )


class Restricted(SetFunction):
    """A fitted set function as if the pool were only ``rows``."""

    def __init__(self, function: SetFunction, rows: np.ndarray) -> None:
        self.function = function
        self.rows = rows
        self.n = len(rows)
        self.names = function.names

    def scores(self) -> np.ndarray | None:
        scores = self.function.scores()
        return None if scores is None else scores[self.rows]

    def forbidden(self) -> np.ndarray:
        return self.function.forbidden()[self.rows]

    def addends(self) -> list[tuple[float, SetFunction]]:
        return [(weight, Restricted(addend, self.rows)) for weight, addend in self.function.addends()]

    def climb(self, rows: np.ndarray | None, size: int) -> Climb:
        return self.function.climb(self.rows if rows is None else self.rows[rows], size)

    def relax(self, size: int) -> Relaxation:
        return _RestrictedRelaxation(self.function.relax(size), self.rows, self.function.n)

    def evaluate(self, sets: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        return self.function.evaluate(sets, self.rows if rows is None else self.rows[rows])


class _RestrictedRelaxation:
    def __init__(self, relaxed: Relaxation, rows: np.ndarray, n: int) -> None:
        self._relaxed = relaxed
        self._rows = rows
        self._n = n

    def _spread(self, values: np.ndarray) -> np.ndarray:
        full = np.zeros(self._n)
        full[self._rows] = values
        return full

    def value(self, m: np.ndarray) -> float:
        return self._relaxed.value(self._spread(m))

    def gradient(self, m: np.ndarray) -> np.ndarray:
        return self._relaxed.gradient(self._spread(m))[self._rows]

    def curvature(self, direction: np.ndarray) -> float:
        return self._relaxed.curvature(self._spread(direction))


class Deferred(SetFunction):
    """An objective that is fitted at its first use, so that a solver may narrow the pool before.

    Attributes:
        fitted: whether it was fitted, on this pool.
    """

    def __init__(self, objective: Objective, pool: Pool, context: Context) -> None:
        self.objective = objective
        self.pool = pool
        self.context = context
        self.n = len(pool)
        self._function: SetFunction | None = None

    @property
    def fitted(self) -> bool:
        return self._function is not None

    @property
    def function(self) -> SetFunction:
        """The fitted set function."""
        if self._function is None:
            self._function = self.objective.fit(self.pool, self.context)
        return self._function

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.function.names

    def scores(self) -> np.ndarray | None:
        return self.function.scores()

    def forbidden(self) -> np.ndarray:
        return self.function.forbidden()

    def addends(self) -> list[tuple[float, SetFunction]]:
        return self.function.addends()

    def climb(self, rows: np.ndarray | None, size: int) -> Climb:
        return self.function.climb(rows, size)

    def relax(self, size: int) -> Relaxation:
        return self.function.relax(size)

    def evaluate(self, sets: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        return self.function.evaluate(sets, rows)


def restrict(function: SetFunction, rows: np.ndarray) -> SetFunction:
    """Return ``function`` on some documents: fitted on them alone when it is not fitted yet.

    Args:
        function: set function over a pool.
        rows: ascending rows of that pool.
    """
    if not isinstance(function, Deferred) or function.fitted:
        return Restricted(function, rows)
    keep = function.context.keep
    apart = replace(function.context, keep=lambda name, make: keep(f"survivors-{name}", make))
    return Deferred(function.objective, subpool(function.pool, rows), apart)
