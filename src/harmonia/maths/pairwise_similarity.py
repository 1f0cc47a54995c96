"""Mean pairwise similarity of a set of unit rows, from its sum: ``sum_{i != j} z_i . z_j = ||sum_i z_i||^2 - S``.

The diversity ``f(S) = 1 - (||sum z||^2 - S) / (S (S - 1))`` lies in [0, 1 + 1/(S - 1)] (DATAMASK, Fan et al. 2026).
"""

from __future__ import annotations

import numpy as np

from harmonia.maths.rows import Matrix, blocks
from harmonia.maths.scaled_rows import BLOCK


def pairwise_diversity(Z: np.ndarray) -> float:
    """Return one minus the mean cosine between different rows of Z (S, d), unit rows; 1 for a single row.

    >>> pairwise_diversity(np.array([[1., 0.], [-1., 0.]]))
    2.0
    """
    S = len(Z)
    total = np.asarray(Z).sum(axis=0, dtype=np.float64)
    return 1.0 - (float(total @ total) - S) / (S * (S - 1)) if S > 1 else 1.0


def weighted_sum(Z: Matrix, weights: np.ndarray) -> np.ndarray:
    """Return ``Z^T weights``, (d,) float64, reading only the rows whose weight is not zero."""
    total = np.zeros(Z.shape[1])
    rows = np.flatnonzero(weights)
    for start in range(0, len(rows), BLOCK):
        index = rows[start : start + BLOCK]
        total += weights[index] @ np.asarray(Z[index], np.float64)
    return total


def project(Z: Matrix, vector: np.ndarray) -> np.ndarray:
    """Return ``Z vector``, (n,) float64, computed in the type of Z block by block."""
    out = np.empty(Z.shape[0])
    for where, rows in blocks(Z, BLOCK, Z.dtype):
        out[where] = rows @ vector.astype(Z.dtype)
    return out


class PairwiseClimb:
    """Gains are ``-2 z . s / (size (size - 1))``, s the sum of the set; over a set of ``size`` they add up to f - 1.

    Args:
        Z: (m, d) candidate unit rows.
        size: number of documents in the set.
    """

    diminishing = False
    incremental = True

    def __init__(self, Z: Matrix, size: int) -> None:
        self.size = Z.shape[0]
        self._Z = Z
        self._scale = 2.0 / max(size * (size - 1), 1)
        self._dots = np.zeros(self.size)

    def gains(self, rows: np.ndarray | None = None) -> np.ndarray:
        return -self._scale * (self._dots if rows is None else self._dots[rows])

    def add(self, row: int) -> None:
        self._dots += project(self._Z, self._Z[np.array([row])][0])


class PairwiseRelaxation:
    """``f(m) = 1 - (||Z^T m||^2 - size) / (size (size - 1))``, concave in m; the sum of the last m is kept.

    Args:
        Z: (n, d) unit rows.
        size: number of documents in the set.
        excluded: (n,) bool, rows whose gradient is -inf, so that they are never taken.
    """

    def __init__(self, Z: Matrix, size: int, excluded: np.ndarray | None = None) -> None:
        self._Z = Z
        self._excluded = excluded
        self._size = size
        self._scale = 1.0 / max(size * (size - 1), 1)
        self._m = np.zeros(Z.shape[0])
        self._v = np.zeros(Z.shape[1])

    def _sum(self, m: np.ndarray) -> np.ndarray:
        if not np.array_equal(m, self._m):
            self._m, self._v = m.copy(), weighted_sum(self._Z, m)
        return self._v

    def value(self, m: np.ndarray) -> float:
        v = self._sum(m)
        return 1.0 - self._scale * (float(v @ v) - self._size)

    def gradient(self, m: np.ndarray) -> np.ndarray:
        slope = -2 * self._scale * project(self._Z, self._sum(m))
        return slope if self._excluded is None else np.where(self._excluded, -np.inf, slope)

    def curvature(self, direction: np.ndarray) -> float:
        v = weighted_sum(self._Z, direction)
        return self._scale * float(v @ v)
