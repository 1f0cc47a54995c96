"""Farthest-first traversal: the row farthest from those taken, a 2-approximation of k-center (Gonzalez 1985).

    gain of i = min_{j in S} ||x_i - x_j||^2
Only the running minimum is kept: one product of the matrix with a vector per row taken.
"""

from __future__ import annotations

import numpy as np

from harmonia.maths.rows import Matrix, blocks


class FarthestClimb:
    """Squared distance of every row to the nearest one taken; infinite while nothing is taken."""

    diminishing = True
    incremental = True

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix
        self.size = matrix.shape[0]
        self._nearest = np.full(self.size, np.inf)
        self._squares = np.empty(self.size)
        for rows, block in blocks(matrix):
            self._squares[rows] = np.einsum("nd,nd->n", block, block, dtype=np.float64)

    def gains(self, rows: np.ndarray | None = None) -> np.ndarray:
        return self._nearest if rows is None else self._nearest[rows]

    def add(self, row: int) -> None:
        centre = np.asarray(self.matrix[np.array([row])][0], np.float32)
        for rows, block in blocks(self.matrix):
            far = self._squares[rows] + self._squares[row] - 2 * (block @ centre).astype(np.float64)
            np.minimum(self._nearest[rows], np.maximum(far, 0), out=self._nearest[rows])
        self._nearest[row] = 0.0
