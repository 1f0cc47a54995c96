"""A random sample of documents that depends on their ids alone, so order, shards and workers do not change it."""

from __future__ import annotations

import numpy as np

from harmonia.core.seeds import mix


def keyed_sample(keys: np.ndarray, amount: int, seed: int, *path: str | int) -> np.ndarray:
    """Return the entries with the ``amount`` smallest re-drawn hashes, smallest first; a smaller sample is a prefix.

    Args:
        keys: (n,) uint64 hashes of ids.
        amount: how many; all when there are fewer.
        seed: seed of the run.
        path: words that tell this sample from others.

    Returns:
        (min(amount, n),) int64 indices.
    """
    hashes = mix(keys, seed, *path)
    rows = np.arange(len(hashes))
    if amount < len(hashes):
        rows = np.flatnonzero(hashes <= np.partition(hashes, amount - 1)[amount - 1]) if amount else rows[:0]
    return rows[np.argsort(hashes[rows], kind="stable")][:amount]
