"""Probabilities that grow with the rank of an element's magnitude within its row."""

from __future__ import annotations

import numpy as np


def rank_probabilities(rows: np.ndarray, middle: float, reach: float) -> np.ndarray:
    """Return p = middle - reach + 2 reach r / (R - 1), r = 0 for the smallest magnitude of a row: (q, R) float64.

    Of equal magnitudes the first has the higher rank. A row of one element has the middle.

    Args:
        rows: (q, R).
        middle: mean of the probabilities.
        reach: from middle - reach to middle + reach.

    >>> rank_probabilities(np.array([[0.1, -3, 2]]), 0.5, 0.2).tolist()
    [[0.3, 0.7, 0.5]]
    """
    length = rows.shape[1]
    if length == 1:
        return np.full(rows.shape, middle)
    falling = np.argsort(-np.abs(rows), axis=1, kind="stable")
    ladder = np.linspace(middle + reach, middle - reach, length).clip(0, 1)
    found = np.empty(rows.shape)
    np.put_along_axis(found, falling, np.broadcast_to(ladder, rows.shape), axis=1)
    return found
