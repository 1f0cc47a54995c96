"""Greedy state, batched greedy and concave relaxation of ``F(S) = ||sum_S u u^T||_F^2 = sum_{i,j in S} (u_i . u_j)^2``.

For unit rows u the cost of one more row is ``2 a + 1`` with ``a_j = sum_{i in S} (u_i . u_j)^2``: one product with each
pick, and it never falls as S grows (F is supermodular), so stale values are bounds and lazy evaluation is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harmonia.maths.array_namespace import namespace, take, to_numpy
from harmonia.maths.rows import Matrix
from harmonia.maths.scaled_rows import BLOCK

_SCAN_BYTES = 2**24
_PICKS = 512


class PoolUnitClimb:
    """Gains are ``-scale (2 a + 1)``; each row remembers the picks it has met and is brought up to date when asked.

    Args:
        U: (m, d) rows of length one; array, tensor or matrix read by blocks.
        scale: factor of the gains, 1/size^2 for a set function that lies in [-1, 0].
        block: rows read at a time when all are refreshed.
    """

    diminishing = True

    def __init__(self, U: Any, scale: float = 1.0, block: int = BLOCK) -> None:
        self.size = U.shape[0]
        self.incremental = self.size * U.shape[1] * _itemsize(U) <= _SCAN_BYTES
        self._U = U
        self._scale = scale
        self._block = block
        self._a = np.zeros(self.size)
        self._met = np.zeros(self.size, np.int32)
        self._picks: Any = None
        self._n = 0

    def gains(self, rows: np.ndarray | None = None) -> np.ndarray:
        if rows is None:
            # an array in memory needs no blocks when one number per row comes back
            step = self.size if self._n - int(self._met.min(initial=self._n)) == 1 and self._in_memory else self._block
            for start in range(0, self.size, max(step, 1)):
                self._refresh(slice(start, min(start + step, self.size)))
            return -self._scale * (2 * self._a + 1)
        rows = np.asarray(rows)
        self._refresh(rows)
        return -self._scale * (2 * self._a[rows] + 1)

    def add(self, row: int) -> None:
        u = take(self._U, np.array([row]))
        if self._picks is None:
            self._picks = u
        elif self._n == len(self._picks):
            self._picks = namespace(u).concatenate([self._picks, self._picks])
        self._picks[self._n] = u[0]
        self._n += 1

    @property
    def _in_memory(self) -> bool:
        return namespace(self._U) is not np or type(self._U) is np.ndarray

    def _refresh(self, rows: slice | np.ndarray) -> None:
        met = self._met[rows]
        low = int(met.min(initial=self._n))
        if low == self._n:
            return
        X = take(self._U, rows)
        for start in range(low, self._n, _PICKS):
            stop = min(start + _PICKS, self._n)
            G = to_numpy(X @ self._picks[start:stop].T, np.float64)
            G = G * G
            if (met > start).any():
                G[np.arange(start, stop) < met[:, None]] = 0.0
            self._a[rows] += G.sum(axis=1)
        self._met[rows] = self._n


def _itemsize(array: Any) -> int:
    return int(array.element_size() if namespace(array) is not np else array.dtype.itemsize)


def weighted_moment(U: Matrix, weights: np.ndarray, block: int = BLOCK) -> np.ndarray:
    """Return ``U^T diag(weights) U``, (d, d) float64, reading only the rows whose weight is not zero."""
    total = np.zeros((U.shape[1], U.shape[1]))
    rows = np.flatnonzero(weights)
    for start in range(0, len(rows), block):
        index = rows[start : start + block]
        X = U[index]
        total += (X * weights[index, None].astype(X.dtype)).T @ X
    return total


class MomentRelaxation:
    """``f(m) = -||U^T diag(m) U||_F^2 / size^2``, concave in m; the second moment of the last m is kept.

    Args:
        U: (n, d) unit rows.
        size: number of documents in the set.
        excluded: (n,) bool, rows whose gradient is -inf, so that they are never taken.
    """

    def __init__(self, U: Matrix, size: int, excluded: np.ndarray | None = None) -> None:
        self._U = U
        self._excluded = excluded
        self._scale = 1.0 / size**2
        self._m = np.zeros(U.shape[0])
        self._A = np.zeros((U.shape[1], U.shape[1]))

    def _moment(self, m: np.ndarray) -> np.ndarray:
        if not np.array_equal(m, self._m):
            self._m, self._A = m.copy(), weighted_moment(self._U, m)
        return self._A

    def value(self, m: np.ndarray) -> float:
        return -self._scale * float(np.square(self._moment(m)).sum())

    def gradient(self, m: np.ndarray) -> np.ndarray:
        A = self._moment(m)
        out = np.empty(len(m))
        for start in range(0, len(m), BLOCK):
            X = self._U[start : start + BLOCK]
            out[start : start + BLOCK] = np.einsum("nd,nd->n", X @ A.astype(X.dtype), X)
        out *= -2 * self._scale
        return out if self._excluded is None else np.where(self._excluded, -np.inf, out)

    def curvature(self, direction: np.ndarray) -> float:
        return self._scale * float(np.square(weighted_moment(self._U, direction)).sum())


def set_energies(U: Matrix, sets: np.ndarray) -> np.ndarray:
    """Return F of each set: unit rows (b, d) and (G, S) indices -> (G,) float64.

    The squared Gram matrix of all rows is formed once where that is less work than one moment per set.
    """
    (b, d), (G, S) = U.shape, sets.shape
    if b <= 8192 and b * b * d + G * S * S < G * S * d * min(S, d):
        X = U[np.arange(b)]
        K = np.square(X @ X.T)
        return np.array([K[np.ix_(members, members)].sum(dtype=np.float64) for members in sets])
    energies = np.empty(G)
    for g, members in enumerate(sets):
        X = U[members]
        energies[g] = np.square(X @ X.T if d > S else X.T @ X, dtype=np.float64).sum()
    return energies
