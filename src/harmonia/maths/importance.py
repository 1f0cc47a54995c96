"""Importance weights of documents under bags of hashed n-grams (DSIR; Xie et al. 2023, arXiv 2302.03169).

log w(x) = sum over the n-grams g of x of log(p_target(g) + 1e-8) - log(p_raw(g) + 1e-8): a sum, so long documents
have large weights of either sign.
"""

from __future__ import annotations

import numpy as np

from harmonia.core.errors import InputError

_FLOOR = 1e-8


def frequencies(counts: np.ndarray, smoothing: float = 0.0) -> np.ndarray:
    """Return (counts + smoothing) / sum: (buckets,) float64.

    Raises:
        InputError: everything is zero.

    >>> frequencies(np.array([3, 1]), 1.0).round(4).tolist()
    [0.6667, 0.3333]
    """
    smooth = np.asarray(counts, np.float64) + smoothing
    total = smooth.sum()
    if not total > 0:
        raise InputError("no n-gram was counted: the texts are empty")
    return smooth / total


def log_ratios(target: np.ndarray, raw: np.ndarray) -> np.ndarray:
    """Return the log weight of one n-gram per bucket: (buckets,) float64.

    Args:
        target: (buckets,) frequencies in the target.
        raw: (buckets,) frequencies in the pool.

    >>> ratios = log_ratios(np.array([.8, .2]), np.array([.5, .5]))
    >>> round(float(np.array([3, 1]) @ ratios), 6)
    0.49372
    """
    return np.log(np.asarray(target, np.float64) + _FLOOR) - np.log(np.asarray(raw, np.float64) + _FLOOR)
