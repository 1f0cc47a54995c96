"""Coverage of a pool by a set: ``f(S) = sum_i max_{j in S} max(0, z_i . z_j)`` over unit rows (facility location).

Similarities are products of rows made when they are needed, 64 candidates against the whole pool at a time; rows of the
kernel read last are kept, up to 1 GiB, so memory is n d and not n^2. Monotone and submodular, so greedy is within
1 - 1/e of the best (Nemhauser et al. 1978), and stale gains are bounds (lazy greedy, Minoux 1978).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harmonia.maths.rows import Matrix, blocks

_GROUND = 4096
_CANDIDATES = 64
_KERNEL_BYTES = 2**31
_WORTHWHILE = 1024


def coverages(Z: Matrix, sets: np.ndarray) -> np.ndarray:
    """Return f of each set: unit rows (n, d) and (G, S) indices -> (G,) float64.

    >>> Z = np.array([[1., 0.], [0., 1.], [-1., 0.]])
    >>> coverages(Z, np.array([[0, 1], [0, 2]])).tolist()
    [2.0, 2.0]
    """
    sets = np.asarray(sets)
    members, place = np.unique(sets, return_inverse=True)
    place = place.reshape(sets.shape)
    chosen = Z[members]
    totals = np.zeros(len(sets))
    for _, ground in blocks(Z, _CANDIDATES, Z.dtype):
        # members first: a set is then a few whole rows
        K = np.maximum(chosen @ ground.T, 0)
        for g, own in enumerate(place):
            totals[g] += K[own].max(axis=0).sum(dtype=np.float64)
    return totals


class FacilityLocationClimb:
    """Gains are ``scale sum_i max(0, z_i . z_j - best_i)``, best_i the similarity of i to its nearest in S.

    Args:
        Z: (m, d) candidate unit rows, which are also the rows to be covered.
        scale: factor of the gains, 1/m for the mean coverage.
        kernel_bytes: memory for rows of the kernel that were computed before.
    """

    diminishing = True
    incremental = False

    def __init__(self, Z: Matrix, scale: float = 1.0, kernel_bytes: int = _KERNEL_BYTES) -> None:
        self.size = Z.shape[0]
        self._Z = Z
        self._scale = scale
        self._best = np.zeros(self.size, Z.dtype)
        self._kernel = KernelRows(Z, kernel_bytes)

    def gains(self, rows: np.ndarray | None = None) -> np.ndarray:
        index = np.arange(self.size) if rows is None else np.asarray(rows)
        kept = self._kernel.capacity
        return self._scale * np.concatenate([self._by_kernel_rows(index[:kept]), self._by_products(index[kept:])])

    def _by_kernel_rows(self, index: np.ndarray) -> np.ndarray:
        gains = np.empty(len(index))
        rise = np.empty(self.size, self._Z.dtype)
        for place, similarities in self._kernel.read(index):
            np.subtract(similarities, self._best, out=rise)
            gains[place] = np.maximum(rise, 0, out=rise).sum()
        return gains

    def _by_products(self, index: np.ndarray) -> np.ndarray:
        gains = np.zeros(len(index))
        if not len(index):
            return gains
        # a block of the ground stays in cache while every candidate passes by
        for where, ground in blocks(self._Z, _GROUND, self._Z.dtype):
            for start in range(0, len(index), _CANDIDATES):
                part = slice(start, start + _CANDIDATES)
                K = self._Z[index[part]] @ ground.T
                K -= self._best[where]
                gains[part] += np.maximum(K, 0, out=K).sum(axis=1)
        return gains

    def add(self, row: int) -> None:
        if self._kernel.capacity:
            for _, similarities in self._kernel.read(np.array([row])):
                np.maximum(self._best, similarities, out=self._best)
            return
        z = self._Z[np.array([row])][0]
        for where, ground in blocks(self._Z, _GROUND, self._Z.dtype):
            np.maximum(self._best[where], ground @ z, out=self._best[where])


class KernelRows:
    """Rows of ``Z Z^T``, computed when first read; those read last are kept.

    Lazy greedy looks at the same few candidates again and again, so most rows are computed once although only a part of
    the kernel is ever stored.

    Args:
        Z: (m, d) rows.
        limit: bytes for the rows that are kept; where fewer than 1024 rows fit, none are.
    """

    def __init__(self, Z: Matrix, limit: int) -> None:
        m = Z.shape[0]
        rows = limit // max(m * Z.dtype.itemsize, 1)
        self.capacity = min(rows, m) if rows >= min(m, _WORTHWHILE) else 0
        self._Z = Z
        self._rows = np.empty((self.capacity, m), Z.dtype)
        self._slot = np.full(m, -1)
        self._owner = np.full(self.capacity, -1)
        self._read = np.zeros(self.capacity, np.int64)
        self._clock = 0

    def read(self, index: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (position in ``index``, row of the kernel).

        Args:
            index: at most ``capacity`` rows.
        """
        self._clock += 1
        known = self._slot[index]
        self._read[known[known >= 0]] = self._clock
        missing = np.unique(index[known < 0])
        for start in range(0, len(missing), _CANDIDATES):
            self._compute(missing[start : start + _CANDIDATES])
        for place, slot in enumerate(self._slot[index]):
            yield place, self._rows[slot]

    def _compute(self, index: np.ndarray) -> None:
        slots = np.argpartition(self._read, len(index) - 1)[: len(index)]
        self._slot[self._owner[slots][self._owner[slots] >= 0]] = -1
        self._slot[index], self._owner[slots], self._read[slots] = slots, index, self._clock
        chosen = self._Z[index]
        for where, ground in blocks(self._Z, _GROUND, self._Z.dtype):
            self._rows[slots, where] = chosen @ ground.T
