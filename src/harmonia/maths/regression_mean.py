"""The linear layer that answers as several linear layers do, each on its own inputs (RegMean, arXiv 2212.09849)."""

from __future__ import annotations

import numpy as np

RIDGE = 1e-6
"""Relative to the mean of the diagonal."""


class RegressionMean:
    """W* = (sum_i w_i W_i G_i) (sum_i w_i G_i)^-1, which minimises sum_i w_i |X_i (W - W_i)^T|^2, X_i^T X_i = G_i.

    Off the diagonal G_i is multiplied by ``alpha``. A small ridge is added to every G_i, so where no inputs were seen
    W* is the average, and equal layers come out as they are.

    Args:
        grams: (n, d, d), of the inputs.
        weights: (n,).
        alpha: from 0, a mean element by element, to 1.

    >>> grams = np.array([[[2.0, 1], [1, 2]], [[1, 0], [0, 3]]])
    >>> RegressionMean(grams, np.ones(2), alpha=1).merge(np.array([[[1.0, 0]], [[0, 1]]])).round(5).tolist()
    [[0.42857, 0.71429]]
    """

    def __init__(self, grams: np.ndarray, weights: np.ndarray, alpha: float) -> None:
        from scipy.linalg import cho_factor  # here, as listing recipes needs none of it

        self._shares = weights / weights.sum()
        diagonal = np.eye(grams.shape[1], dtype=bool)
        self._grams = np.where(diagonal, grams, alpha * grams) * weights[:, None, None]
        total = self._grams.sum(axis=0)
        mean = float(total[diagonal].mean())
        self._factor = cho_factor(total + (RIDGE * mean if mean > 0 else 1.0) * np.eye(len(total)))

    def merge(self, layers: np.ndarray) -> np.ndarray:
        """Return rows of W*: (n, rows, d) float64 -> (rows, d)."""
        from scipy.linalg import cho_solve

        average = np.tensordot(self._shares, layers, axes=1)
        pulls = sum((layer - average) @ gram for layer, gram in zip(layers, self._grams, strict=True))
        return average + cho_solve(self._factor, pulls.T).T
