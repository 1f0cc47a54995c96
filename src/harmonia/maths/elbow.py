"""Where a curve of marginal gains flattens: how much is enough.

With g_1..g_k the gains of the picks, the elbow is the n that maximises sum_{i<=n} (g_i - mean g): the point of the
cumulative curve farthest above its chord (Satopaa et al. 2011, "Kneedle"). Where gains fall, later picks bring less
than the average. A sum needs no smoothing, and the result is the same for a g + b, a > 0.
"""

from __future__ import annotations

import numpy as np


def elbow(gains: np.ndarray) -> int | None:
    """Return after how many picks the gains flatten, or None when they do not.

    Args:
        gains: (k,) marginal gain of each pick, in order; entries that are not finite (a first pick of infinite
            gain) are counted as picks, but not measured.

    Returns:
        A number in 1 .. k - 1, or None when gains are constant or grow.

    >>> elbow(np.array([5., 5., 5., 1., 1., 1., 1., 1.]))
    3
    """
    gains = np.asarray(gains, np.float64)
    finite = np.isfinite(gains)
    if np.count_nonzero(finite) < 2:
        return None
    measured = gains[finite]
    excess = np.where(finite, gains - measured.mean(), 0.0)
    above = np.cumsum(excess)[:-1]
    best = int(np.argmax(above))
    slack = 1e-9 * len(gains) * float(np.abs(measured).max())
    return best + 1 if above[best] > slack else None
