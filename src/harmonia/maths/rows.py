"""A tall matrix in several pieces, read block by block.

Everything in harmonia that scans a pool takes any object with ``shape``, ``dtype`` and ``[rows]``: a NumPy array,
one memory map, or ``Rows``, many memory maps end to end. Work is done in blocks, so memory does not grow with the pool.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np


class Matrix(Protocol):
    """What a scan needs: ``shape`` (n, d), ``dtype``, and rows by slice or by an index array."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __getitem__(self, rows: Any, /) -> np.ndarray: ...


class Rows:
    """Several (n_i, d) arrays end to end, as one (n, d) matrix; slices and index arrays return copies.

    >>> rows = Rows([np.zeros((2, 3), np.float16), np.ones((1, 3), np.float16)])
    >>> rows.shape, rows[np.array([2, 0])][:, 0].tolist()
    ((3, 3), [1.0, 0.0])
    """

    def __init__(self, shards: Sequence[np.ndarray]) -> None:
        self.shards = list(shards)
        self._starts = np.cumsum([0, *(len(shard) for shard in self.shards)])
        self.shape = (int(self._starts[-1]), self.shards[0].shape[1] if self.shards else 0)
        self.dtype = self.shards[0].dtype if self.shards else np.dtype(np.float32)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        if isinstance(rows, slice):
            start, stop, step = rows.indices(self.shape[0])
            if step != 1:
                return self[np.arange(start, stop, step)]
            out = np.empty((max(stop - start, 0), self.shape[1]), self.dtype)
            for s, shard in enumerate(self.shards):
                low, high = max(start, int(self._starts[s])), min(stop, int(self._starts[s + 1]))
                if low < high:
                    out[low - start : high - start] = shard[low - self._starts[s] : high - self._starts[s]]
            return out
        rows = np.asarray(rows)
        out = np.empty((len(rows), self.shape[1]), self.dtype)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for s in np.unique(owner):
            here = owner == s
            out[here] = self.shards[s][rows[here] - self._starts[s]]
        return out


def blocks(matrix: Matrix, size: int = 65536, dtype: Any = np.float32) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (rows, block) over a matrix, each block cast to ``dtype``; memory is one block."""
    for start in range(0, matrix.shape[0], size):
        rows = slice(start, min(start + size, matrix.shape[0]))
        yield rows, np.asarray(matrix[rows], dtype)
