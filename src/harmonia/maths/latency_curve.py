"""The time of a layer by its size: flat while the machine is not filled, then straight."""

from __future__ import annotations

import numpy as np


def fit_curve(units: np.ndarray, seconds: np.ndarray) -> tuple[float, int, float]:
    """Return floor, threshold and slope of ``floor + slope max(0, n - threshold)`` nearest to measured times.

    Least squares at every threshold from 0 to the largest size but one; of equally good ones the smallest.

    Args:
        units: (m,) sizes n, of at least two values.
        seconds: (m,) times.

    >>> floor, threshold, slope = fit_curve(np.array([1, 2, 4, 8]), np.array([3., 3., 5., 9.]))
    >>> round(floor, 9), threshold, round(slope, 9)
    (3.0, 2, 1.0)
    """
    best, found = np.inf, (0.0, 0, 0.0)
    for threshold in range(int(units.max())):
        beyond = np.maximum(units - threshold, 0).astype(np.float64)
        spread = beyond - beyond.mean()
        # time does not fall with size, nor below nothing
        slope = max(0.0, float(spread @ seconds) / float(spread @ spread)) if spread.any() else 0.0
        floor = float(seconds.mean() - slope * beyond.mean())
        if floor < 0:
            floor, slope = 0.0, float(beyond @ seconds) / float(beyond @ beyond)
        error = float(((floor + slope * beyond - seconds) ** 2).sum())
        if error < best * (1 - 1e-9) - 1e-30:
            best, found = error, (floor, threshold, slope)
    return found
