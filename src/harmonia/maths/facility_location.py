"""Coverage of a pool by a set: ``f(S) = sum_i max_{j in S} max(0, z_i . z_j)`` over unit rows (facility location).

Rows of the kernel are stored while 2 GiB hold at least half of them (to 32,000 float32 rows); beyond, similarities are
products made when they are needed, 64 candidates against the whole pool at a time, and memory is n d. Monotone and
submodular, so greedy is within 1 - 1/e of the best (Nemhauser et al. 1978), and stale gains are bounds (lazy greedy,
Minoux 1978).
"""

from __future__ import annotations

import numpy as np

from harmonia.maths.rows import Matrix, blocks

_GROUND = 4096
_CANDIDATES = 64
_KERNEL_BYTES = 2**31


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
        kernel_bytes: most memory for stored rows of the kernel; none are stored where that is less than half of them.
    """

    diminishing = True
    incremental = False

    def __init__(self, Z: Matrix, scale: float = 1.0, kernel_bytes: int = _KERNEL_BYTES) -> None:
        self.size = Z.shape[0]
        self._Z = Z
        self._scale = scale
        self._best = np.zeros(self.size, Z.dtype)
        stored = min(kernel_bytes // max(self.size * Z.dtype.itemsize, 1), self.size)
        self._kernel = np.empty((stored if 2 * stored >= self.size else 0, self.size), Z.dtype)
        for rows, block in blocks(Z, _GROUND, Z.dtype):
            np.matmul(Z[: len(self._kernel)], block.T, out=self._kernel[:, rows])

    def gains(self, rows: np.ndarray | None = None) -> np.ndarray:
        index = np.arange(self.size) if rows is None else np.asarray(rows)
        gains = np.empty(len(index))
        stored = index < len(self._kernel)
        gains[stored] = self._by_kernel(index[stored])
        gains[~stored] = self._by_products(index[~stored])
        return self._scale * gains

    def _by_kernel(self, index: np.ndarray) -> np.ndarray:
        gains, rise = np.empty(len(index)), np.empty(self.size, self._Z.dtype)
        for place, row in enumerate(index):
            np.subtract(self._kernel[row], self._best, out=rise)
            gains[place] = np.maximum(rise, 0, out=rise).sum()
        return gains

    def _by_products(self, index: np.ndarray) -> np.ndarray:
        gains = np.zeros(len(index))
        parts = [slice(start, start + _CANDIDATES) for start in range(0, len(index), _CANDIDATES)]
        if not parts:
            return gains
        # a block of the ground stays in cache while every candidate passes by
        for where, ground in blocks(self._Z, _GROUND, self._Z.dtype):
            for part in parts:
                rises = self._Z[index[part]] @ ground.T
                rises -= self._best[where]
                gains[part] += np.maximum(rises, 0, out=rises).sum(axis=1)
        return gains

    def add(self, row: int) -> None:
        if row < len(self._kernel):
            np.maximum(self._best, self._kernel[row], out=self._best)
            return
        z = self._Z[np.array([row])][0]
        for where, ground in blocks(self._Z, _GROUND, self._Z.dtype):
            np.maximum(self._best[where], ground @ z, out=self._best[where])
