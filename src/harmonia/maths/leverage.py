"""Ridge leverage of every row against a growing set: ``s_j = x_j^T (X_S^T X_S + ridge I)^{-1} x_j``.

After a pick p the scores fall by the Sherman-Morrison identity, ``s_j -= (x_j . w)^2 / (1 + s_p)`` with
``w = (X_S^T X_S + ridge I)^{-1} x_p``. Taking the largest score is greedy for ``log det(I + X_S X_S^T / ridge)``, whose
marginal gain is ``log(1 + s)`` (matrix determinant lemma).
"""

from __future__ import annotations

import numpy as np

from harmonia.maths.rows import Matrix, blocks
from harmonia.maths.scaled_rows import BLOCK


class LeverageClimb:
    """Gains are ``scale log(1 + s)``, in the order of the leverage s.

    Args:
        X: (m, d) candidate rows, read in float64.
        ridge: fixed ridge, above 0.
        scale: factor of the gains.
    """

    diminishing = True
    incremental = True

    def __init__(self, X: Matrix, ridge: float = 1e-5, scale: float = 1.0) -> None:
        self.size = X.shape[0]
        self._X = X
        self._scale = scale
        self._inverse = np.eye(X.shape[1]) / ridge
        self._scores = np.empty(self.size)
        for where, rows in blocks(X, BLOCK, np.float64):
            self._scores[where] = np.einsum("nd,nd->n", rows, rows) / ridge

    def scores(self) -> np.ndarray:
        """Return the leverage of every row: (m,) float64."""
        return self._scores

    def gains(self, rows: np.ndarray | None = None) -> np.ndarray:
        return self._scale * np.log1p(self._scores if rows is None else self._scores[rows])

    def add(self, row: int) -> None:
        x = np.asarray(self._X[np.array([row])], np.float64)[0]
        w = self._inverse @ x
        share = 1 + x @ w
        self._inverse -= np.outer(w, w) / share
        for where, rows in blocks(self._X, BLOCK, np.float64):
            self._scores[where] -= (rows @ w) ** 2 / share
        np.maximum(self._scores, 0, out=self._scores)
