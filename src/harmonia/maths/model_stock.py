"""How far to go from a base to the mean of its fine-tunes, by the angle between them (arXiv 2403.19522)."""

from __future__ import annotations

import numpy as np


def stock_ratio(gram: np.ndarray) -> float:
    """Return t = n c / (1 + (n - 1) c), c the mean cosine of all pairs of task vectors.

    A task vector of length zero has cosine 0 with the others. Where task vectors point apart on average, c < 0, t is 0:
    the formula would lead away from them.

    Args:
        gram: (n, n) inner products of the task vectors, n >= 2.

    >>> stock_ratio(np.array([[1.0, 1.0], [1.0, 2.0]])).__round__(6)
    0.828427
    """
    count = len(gram)
    lengths = np.sqrt(np.diag(gram))
    products = np.outer(lengths, lengths)
    cosines = np.divide(gram, products, out=np.zeros_like(gram), where=products > 0)
    mean = float(np.clip(cosines[np.triu_indices(count, 1)].mean(), 0, 1))
    return count * mean / (1 + (count - 1) * mean)
