"""Exchanging units of a set so that the loss hardly feels them together, by the Fisher information within the set.

With g_j the gradients of B batches by unit j's mask, removing a set costs about ``|sum_{j in set} g_j|^2``: unlike the
sum of ``|g_j|^2`` this sees units that make up for each other (mask rearrangement of Kwon et al. 2022, arXiv
2204.09656).
"""

from __future__ import annotations

import numpy as np


def exchanged(gradients: np.ndarray, removed: int) -> np.ndarray:
    """Return the units to remove: (B, units) -> (removed,) int64, ascending.

    Begins with those of the smallest ``|g_j|^2``. Every other unit, in ascending order, comes in, and the one goes out
    without which ``|sum of the set's g|^2`` is least; the products of all pairs make that one row of additions each.

    >>> exchanged(np.array([[1., 2., -2.1]]), 2).tolist()
    [1, 2]
    """
    products = gradients.T @ gradients
    squares = np.diag(products)
    order = np.argsort(squares, kind="stable")
    inside = np.zeros(len(squares), bool)
    inside[order[:removed]] = True
    with_set = products[:, inside].sum(axis=1)
    for unit in order[removed:] if removed else ():
        inside[unit] = True
        with_set += products[unit]
        # |s - g_j|^2 = |s|^2 - 2 s g_j + |g_j|^2; of equals the one goes that came last
        relief = np.where(inside, 2 * with_set - squares, -np.inf)
        out = unit if relief[unit] >= relief.max() else int(np.argmax(relief))
        inside[out] = False
        with_set -= products[out]
    return np.flatnonzero(inside)
