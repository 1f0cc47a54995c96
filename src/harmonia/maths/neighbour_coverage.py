"""Facility location over nearest neighbours: ``f(S) = sum_i max_{j in S and N(i)} max(0, z_i . z_j)``.

N(i) holds the m rows most similar to i, itself among them, so memory is n m instead of n^2. A pick changes the best
similarity of the few rows that it is a neighbour of, and through them a few gains: all gains are always up to date.
With m = n this is facility location itself; a row without a chosen neighbour counts 0, so values are lower bounds.
"""

from __future__ import annotations

import numpy as np

from harmonia.maths.rows import Matrix, blocks

_BLOCK = 1024


def nearest_neighbours(Z: Matrix, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the m most similar rows of every unit row, itself included.

    Time n^2 d, memory n m.

    Args:
        Z: (n, d) unit rows.
        m: neighbours per row, at most n.

    Returns:
        (n, m) int32 rows in increasing order, and (n, m) similarities in the type of Z, negative ones cut to 0.
    """
    n = Z.shape[0]
    rows = np.empty((n, m), np.int32)
    similarities = np.empty((n, m), Z.dtype)
    for where, ground in blocks(Z, _BLOCK, Z.dtype):
        K = np.concatenate([ground @ other.T for _, other in blocks(Z, 8 * _BLOCK, Z.dtype)], axis=1)
        # a row is its own neighbour even among duplicates
        K[np.arange(len(K)), np.arange(where.start, where.stop)] = 2
        best = np.sort(np.argpartition(-K, m - 1, axis=1)[:, :m], axis=1)
        rows[where] = best
        similarities[where] = np.clip(np.take_along_axis(K, best, axis=1), 0, 1)
    return rows, similarities


class NeighbourCoverageClimb:
    """Gains are ``scale`` times the rise of f, kept exactly as S grows.

    Args:
        neighbours: (n, m) int rows, as from ``nearest_neighbours``.
        similarities: (n, m) not negative.
        scale: factor of the gains, 1/n for the mean coverage.
    """

    diminishing = True
    incremental = True

    def __init__(self, neighbours: np.ndarray, similarities: np.ndarray, scale: float = 1.0) -> None:
        self.size, self._m = neighbours.shape
        self._neighbours = neighbours
        self._similarities = similarities.astype(np.float64)
        self._scale = scale
        flat = neighbours.ravel()
        self._best = np.zeros(self.size)
        self._gains = np.bincount(flat, self._similarities.ravel(), self.size)
        # entries of the list grouped by the neighbour they name
        self._entries = np.argsort(flat, kind="stable")
        self._starts = np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=self.size))])

    def gains(self, rows: np.ndarray | None = None) -> np.ndarray:
        return self._scale * np.maximum(self._gains if rows is None else self._gains[rows], 0)

    def add(self, row: int) -> None:
        entries = self._entries[self._starts[row] : self._starts[row + 1]]
        owners, reach = entries // self._m, self._similarities.ravel()[entries]
        closer = reach > self._best[owners]
        owners, reach = owners[closer], reach[closer]
        K, before = self._similarities[owners], self._best[owners][:, None]
        fall = np.maximum(K - before, 0) - np.maximum(K - reach[:, None], 0)
        np.subtract.at(self._gains, self._neighbours[owners].ravel(), fall.ravel())
        self._best[owners] = reach
