"""Sums of rows that come in pieces: float64, and bit for bit the same whatever the pieces."""

from __future__ import annotations

import numpy as np

BLOCK = 4096
"""Columns that are added up by themselves, pairwise; the sums of blocks are then added one after the other."""


class StreamedSum:
    """Adds up r rows.

    Blocks begin at multiples of ``BLOCK`` wherever pieces begin: what does not fill a block waits for the next piece.

    Args:
        rows: r.

    >>> whole, parts = StreamedSum(1), StreamedSum(1)
    >>> numbers = np.random.default_rng(0).standard_normal((1, 10_000))
    >>> whole.add(numbers)
    >>> for start in range(0, 10_000, 7):
    ...     parts.add(numbers[:, start : start + 7])
    >>> bool(whole.total == parts.total)
    True
    """

    def __init__(self, rows: int) -> None:
        self._total = np.zeros(rows)
        self._waiting = [np.zeros((rows, 0))]
        self._columns = 0

    def add(self, rows: np.ndarray) -> None:
        """Add the next columns: (r, m) float64."""
        self._waiting.append(rows)
        self._columns += rows.shape[1]
        if self._columns < BLOCK:
            return
        joined = np.concatenate(self._waiting, axis=1)
        whole = self._columns // BLOCK * BLOCK
        for block in joined[:, :whole].reshape(len(rows), -1, BLOCK).sum(axis=2).T:
            self._total += block
        self._waiting, self._columns = [joined[:, whole:].copy()], self._columns - whole

    @property
    def total(self) -> np.ndarray:
        """The sum of each row so far: (r,) float64."""
        return self._total + np.concatenate(self._waiting, axis=1).sum(axis=1)


class StreamedGram:
    """Adds up the products of n rows with each other.

    Args:
        rows: n.

    >>> gram = StreamedGram(2)
    >>> gram.add(np.array([[1.0, 0.0], [1.0, 2.0]]))
    >>> gram.total.tolist()
    [[1.0, 1.0], [1.0, 5.0]]
    """

    def __init__(self, rows: int) -> None:
        self._pairs = np.triu_indices(rows)
        self._sum = StreamedSum(len(self._pairs[0]))
        self._rows = rows

    def add(self, rows: np.ndarray) -> None:
        """Add the next columns: (n, m), of any float type."""
        rows = rows.astype(np.float64)
        left, right = self._pairs
        self._sum.add(rows[left] * rows[right])

    @property
    def total(self) -> np.ndarray:
        """The Gram matrix so far: (n, n) float64."""
        gram = np.zeros((self._rows, self._rows))
        gram[self._pairs] = self._sum.total
        return gram + np.triu(gram, 1).T
