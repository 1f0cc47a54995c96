"""Volume spanned by a set: ``f(S) = log det(ridge I + X_S X_S^T)``, the MAP objective of a determinantal point process.

Greedy by incremental Cholesky (Chen, Zhang & Zhou 2018). For a linear kernel the new row of the factor is itself linear
in the candidate, ``e_j = x_j . b`` with ``b = (x_p - B^T B x_p) / sqrt(d2_p)``, so the directions B (k, d) stand for
the factor (k, m) and a pick costs one product with the pool.
"""

from __future__ import annotations

import numpy as np

from harmonia.maths.rows import Matrix, blocks
from harmonia.maths.scaled_rows import BLOCK

EXHAUSTED = 1e-12


class LogDetClimb:
    """Gains are ``scale log d2_j``, d2_j the squared pivot: what the set does not explain of row j, plus the ridge.

    A pivot below 1e-12 means that the row lies in the span of the set (more picks than dimensions and no ridge): its
    gain stays at ``scale log 1e-12``, about -27.6 scale, so such rows come last, and adding one changes nothing.

    Args:
        X: (m, d) candidate rows, read in float64.
        ridge: added to the diagonal of the kernel; 1 gives log det(I + K), 0 the plain determinant.
        scale: factor of the gains.
    """

    diminishing = True
    incremental = True

    def __init__(self, X: Matrix, ridge: float = 1.0, scale: float = 1.0) -> None:
        self.size = X.shape[0]
        self._X = X
        self._ridge = ridge
        self._scale = scale
        self._d2 = np.empty(self.size)
        for where, rows in blocks(X, BLOCK, np.float64):
            self._d2[where] = ridge + np.einsum("nd,nd->n", rows, rows)
        self._directions = np.empty((0, X.shape[1]))

    def gains(self, rows: np.ndarray | None = None) -> np.ndarray:
        return self._scale * np.log(np.maximum(self._d2 if rows is None else self._d2[rows], EXHAUSTED))

    def add(self, row: int) -> None:
        if self._d2[row] < EXHAUSTED:
            return
        x = np.asarray(self._X[np.array([row])], np.float64)[0]
        b = (x - (self._directions @ x) @ self._directions) / np.sqrt(self._d2[row])
        self._directions = np.concatenate([self._directions, b[None]])
        for where, rows in blocks(self._X, BLOCK, np.float64):
            self._d2[where] -= (rows @ b) ** 2
        np.maximum(self._d2, self._ridge, out=self._d2)


def log_dets(X: Matrix, sets: np.ndarray, ridge: float) -> np.ndarray:
    """Return ``log det(ridge I + X_S X_S^T)`` of each set: rows (n, d) and (G, S) indices -> (G,) float64.

    Without a ridge a pivot below 1e-12 counts as 1e-12, as in the climb.
    """
    values = np.zeros(len(sets))
    for g, members in enumerate(sets):
        rows = np.asarray(X[members], np.float64)
        S, d = rows.shape
        if ridge == 0:
            climb = LogDetClimb(rows, ridge)
            for i in range(S):
                values[g] += climb.gains(np.array([i]))[0]
                climb.add(i)
        elif d >= S:
            values[g] = np.linalg.slogdet(rows @ rows.T + ridge * np.eye(S))[1]
        else:
            values[g] = np.linalg.slogdet(rows.T @ rows + ridge * np.eye(d))[1] + (S - d) * np.log(ridge)
    return values
