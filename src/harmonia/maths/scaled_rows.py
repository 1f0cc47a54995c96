"""Rows of a pool shifted, scaled and brought to length one as they are read: (x - mean) / deviation / norm.

The statistics of a pool of any size take two passes, one for the columns and one for the rows; the scaled pool itself
is never stored unless it is small.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harmonia.maths.rows import Matrix, blocks

BLOCK = 8192
RESIDENT_BYTES = 2**29


class ScaledRows:
    """A matrix whose rows are ``(x - mean) / deviation * weight``; anything left out is skipped.

    Args:
        matrix: (n, d) source, of any numeric type.
        mean: (d,) subtracted from every row.
        deviation: (d,) divides the columns.
        weights: (n,) multiplies the rows; 1/norm makes them unit rows.
        dtype: type of the rows read.

    >>> ScaledRows(np.array([[3., 4.], [0., 2.]]), weights=np.array([.2, .5]))[:].tolist()
    [[0.6..., 0.8...], [0.0, 1.0]]
    """

    def __init__(
        self,
        matrix: Matrix,
        mean: np.ndarray | None = None,
        deviation: np.ndarray | None = None,
        weights: np.ndarray | None = None,
        dtype: Any = np.float32,
    ) -> None:
        self.matrix = matrix
        self.shape = tuple(matrix.shape)
        self.dtype = np.dtype(dtype)
        self._mean, self._deviation, self._weights = mean, deviation, weights

    def in_type(self, dtype: Any) -> ScaledRows:
        """Return the same rows read in another type."""
        return ScaledRows(self.matrix, self._mean, self._deviation, self._weights, dtype)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        block = self.matrix[rows]
        if self._mean is None:
            block = np.array(block, self.dtype)
        else:
            # a wide source is centred before it is rounded: a mean far from 0 would cost the digits that count
            wide = np.result_type(block.dtype, self.dtype)
            block = np.subtract(block, self._mean.astype(wide), dtype=wide).astype(self.dtype, copy=False)
        if self._deviation is not None:
            block *= (1 / self._deviation).astype(self.dtype)
        if self._weights is not None:
            block *= self._weights[rows, None].astype(self.dtype)
        return block


def column_moments(matrix: Matrix, block: int = BLOCK) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and population variance of every column, in one pass: two (d,) float64 arrays.

    Blocks are joined by the pairwise update of Chan, Golub & LeVeque (1983). A column with a value that is not finite
    has a mean that is not finite.

    >>> [a.tolist() for a in column_moments(np.array([[0., 1.], [2., 1.]]))]
    [[1.0, 1.0], [1.0, 0.0]]
    """
    n, mean, squares = 0, np.zeros(matrix.shape[1]), np.zeros(matrix.shape[1])
    with np.errstate(invalid="ignore"):
        for _, rows in blocks(matrix, block, np.float64):
            m = len(rows)
            centre = rows.mean(axis=0)
            shift = centre - mean
            gaps = rows - centre
            squares += np.einsum("na,na->a", gaps, gaps) + shift**2 * (n * m / (n + m))
            mean += shift * (m / (n + m))
            n += m
    return mean, squares / max(n, 1)


def row_norms(matrix: Matrix, block: int = BLOCK) -> np.ndarray:
    """Return the length of every row, in one pass: (n,) float64."""
    norms = np.empty(matrix.shape[0])
    for where, rows in blocks(matrix, block, np.float64):
        norms[where] = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    return norms


def first_not_finite(matrix: Matrix, block: int = BLOCK) -> int | None:
    """Return the first row that holds NaN or an infinity, or None."""
    for where, rows in blocks(matrix, block, np.float64):
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(bad):
            return int(where.start + bad[0])
    return None


def resident(matrix: Matrix, limit: int = RESIDENT_BYTES) -> Matrix:
    """Return the matrix as one array in memory when it takes at most ``limit`` bytes, else unchanged."""
    if isinstance(matrix, np.ndarray) and not isinstance(matrix, np.memmap):
        return matrix
    return matrix[:] if matrix.shape[0] * matrix.shape[1] * matrix.dtype.itemsize <= limit else matrix
