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
    """Several (n_i, d) matrices end to end, as one (n, d) matrix; slices and index arrays return copies.

    >>> rows = Rows([np.zeros((2, 3), np.float16), np.ones((1, 3), np.float16)])
    >>> rows.shape, rows[np.array([2, 0])][:, 0].tolist()
    ((3, 3), [1.0, 0.0])
    """

    def __init__(self, shards: Sequence[Matrix]) -> None:
        self.shards = list(shards)
        self._starts = np.cumsum([0, *(shard.shape[0] for shard in self.shards)])
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
            # only the shards that the slice meets: a pool may have very many
            first = int(np.searchsorted(self._starts, start, side="right")) - 1
            last = int(np.searchsorted(self._starts, stop, side="left"))
            for s in range(first, last) if start < stop else ():
                base = int(self._starts[s])
                low, high = max(start, base), min(stop, int(self._starts[s + 1]))
                out[low - start : high - start] = self.shards[s][low - base : high - base]
            return out
        rows = np.asarray(rows)
        out = np.empty((len(rows), self.shape[1]), self.dtype)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        order = np.argsort(owner, kind="stable")
        met, counts = np.unique(owner, return_counts=True)
        for s, stop, count in zip(met, np.cumsum(counts), counts, strict=True):
            places = order[stop - count : stop]
            out[places] = self.shards[s][rows[places] - self._starts[s]]
        return out


def blocks(matrix: Matrix, size: int = 65536, dtype: Any = np.float32) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (rows, block) over a matrix, each block cast to ``dtype``; memory is one block."""
    for start in range(0, matrix.shape[0], size):
        rows = slice(start, min(start + size, matrix.shape[0]))
        yield rows, np.asarray(matrix[rows], dtype)
