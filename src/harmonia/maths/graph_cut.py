"""Coverage minus redundancy: ``f(S) = sum_{i in V, j in S} z_i . z_j - redundancy sum_{i, j in S} z_i . z_j``.

With the linear kernel the column sums are ``Z (Z^T 1)``, and each pick costs one product with the pool, no kernel.
Where no similarity is negative, f is monotone for redundancy <= 1/2 and submodular for any redundancy >= 0; cosines
may be negative, so gains may grow.
"""

from __future__ import annotations

import numpy as np

from harmonia.maths.pairwise_similarity import project, weighted_sum
from harmonia.maths.rows import Matrix


def graph_cuts(Z: Matrix, sets: np.ndarray, redundancy: float) -> np.ndarray:
    """Return f of each set: unit rows (n, d) and (G, S) indices -> (G,) float64."""
    total = weighted_sum(Z, np.ones(Z.shape[0]))
    sums = np.stack([np.asarray(Z[members], np.float64).sum(axis=0) for members in sets])
    return sums @ total - redundancy * np.square(sums).sum(axis=1)


class GraphCutClimb:
    """Gains are ``scale (colsum_j - redundancy (z_j . z_j + 2 z_j . s))``, s the sum of the set.

    Args:
        Z: (m, d) candidate unit rows, which are also the rows to be covered.
        redundancy: weight of the similarity inside the set, lambda of the literature.
        scale: factor of the gains.
    """

    diminishing = False
    incremental = True

    def __init__(self, Z: Matrix, redundancy: float, scale: float = 1.0) -> None:
        self.size = Z.shape[0]
        self._Z = Z
        self._redundancy = redundancy
        self._gains = scale * (project(Z, weighted_sum(Z, np.ones(self.size))) - redundancy)
        self._step = 2 * scale * redundancy

    def gains(self, rows: np.ndarray | None = None) -> np.ndarray:
        return self._gains if rows is None else self._gains[rows]

    def add(self, row: int) -> None:
        self._gains = self._gains - self._step * project(self._Z, self._Z[np.array([row])][0])
