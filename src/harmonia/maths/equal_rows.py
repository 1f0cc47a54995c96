"""Rows that are equal bit for bit, counted with 8 bytes of memory per row.

A row is reduced to a 64-bit multiplicative hash of its bits; n rows have a false match with probability below
n^2 / 2^64.
"""

from __future__ import annotations

import numpy as np

from harmonia.maths.rows import Matrix, blocks

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def count_duplicates(matrix: Matrix, block: int = 8192) -> int:
    """Return how many rows equal an earlier row; 0.0 and -0.0 are equal.

    >>> count_duplicates(np.array([[1., 0.], [2., 3.], [1., -0.]]))
    1
    """
    wide = matrix.dtype.itemsize > 4
    # fixed for ever: the count must not change from run to run
    multipliers = np.random.default_rng(0x5EED).integers(2**63, size=matrix.shape[1], dtype=np.uint64) * 2 + 1
    hashes = np.empty(matrix.shape[0], np.uint64)
    for where, rows in blocks(matrix, block, np.float64 if wide else np.float32):
        bits = (rows + 0).view(np.uint64 if wide else np.uint32).astype(np.uint64)
        bits ^= bits >> np.uint64(29)
        bits *= _GOLDEN
        bits ^= bits >> np.uint64(32)
        hashes[where] = (bits * multipliers).sum(axis=1, dtype=np.uint64)
    return len(hashes) - len(np.unique(hashes))
