"""Coverage of a pool by a set: ``f(S) = sum_i max_{j in S} max(0, z_i . z_j)`` over unit rows (facility location).

Similarities are products of rows made when they are needed, 64 candidates against the whole pool at a time, so memory
is n d; only a pool of at most 5792 rows has its kernel stored (128 MiB). Monotone and submodular, so greedy is within
1 - 1/e of the best (Nemhauser et al. 1978), and stale gains are bounds (lazy greedy, Minoux 1978).
"""

from __future__ import annotations

import numpy as np

from harmonia.maths.rows import Matrix, blocks

_GROUND = 4096
_CANDIDATES = 64
_KERNEL_BYTES = 2**27


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
        kernel_bytes: the kernel is stored when it takes no more than this.
    """

    diminishing = True
    incremental = False

    def __init__(self, Z: Matrix, scale: float = 1.0, kernel_bytes: int = _KERNEL_BYTES) -> None:
        self.size = Z.shape[0]
        self._Z = Z
        self._scale = scale
        self._best = np.zeros(self.size, Z.dtype)
        self._kernel = Z[:] @ Z[:].T if self.size**2 * Z.dtype.itemsize <= kernel_bytes else None

    def gains(self, rows: np.ndarray | None = None) -> np.ndarray:
        index = np.arange(self.size) if rows is None else np.asarray(rows)
        gains = np.zeros(len(index))
        parts = [slice(start, start + _CANDIDATES) for start in range(0, len(index), _CANDIDATES)]
        if self._kernel is not None:
            for part in parts:
                gains[part] = self._rises(self._kernel[index[part]], self._best)
            return self._scale * gains
        # a block of the ground stays in cache while every candidate passes by
        for where, ground in blocks(self._Z, _GROUND, self._Z.dtype):
            for part in parts:
                gains[part] += self._rises(self._Z[index[part]] @ ground.T, self._best[where])
        return self._scale * gains

    @staticmethod
    def _rises(similarities: np.ndarray, best: np.ndarray) -> np.ndarray:
        similarities -= best
        return np.maximum(similarities, 0, out=similarities).sum(axis=1)

    def add(self, row: int) -> None:
        if self._kernel is not None:
            np.maximum(self._best, self._kernel[row], out=self._best)
            return
        z = self._Z[np.array([row])][0]
        for where, ground in blocks(self._Z, _GROUND, self._Z.dtype):
            np.maximum(self._best[where], ground @ z, out=self._best[where])
