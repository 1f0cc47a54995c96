"""Farthest-first traversal: the row farthest from those taken, a 2-approximation of k-center (Gonzalez 1985).

    gain of i = min_{j in S} ||x_i - x_j||^2
Only the running minimum is kept: one pass over the matrix per row taken. Distances are sums of squared differences;
by norms and products they would cancel where the rows lie far from 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harmonia.maths.rows import Matrix, blocks

_BLOCK = 512  # rows whose differences stay in cache


class FarthestClimb:
    """Squared distance of every row to the nearest one taken; infinite while nothing is taken.

    Args:
        matrix: (m, d) candidate rows.
        dtype: type of the distances' arithmetic.
    """

    diminishing = True
    incremental = True

    def __init__(self, matrix: Matrix, dtype: Any = np.float32) -> None:
        self.matrix = matrix
        self.size = matrix.shape[0]
        self._dtype = dtype
        self._nearest = np.full(self.size, np.inf)

    def gains(self, rows: np.ndarray | None = None) -> np.ndarray:
        return self._nearest if rows is None else self._nearest[rows]

    def add(self, row: int) -> None:
        centre = np.asarray(self.matrix[np.array([row])][0], self._dtype)
        for rows, block in blocks(self.matrix, _BLOCK, self._dtype):
            gaps = block - centre
            far = np.einsum("nd,nd->n", gaps, gaps)
            np.minimum(self._nearest[rows], far, out=self._nearest[rows])
