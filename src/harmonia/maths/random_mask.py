"""Random bits that belong to an element: they follow from a key and its place, not from what was drawn before.

A counter-based generator (Philox, Salmon et al. 2011) has no state to hand on, so any run of elements can be drawn by
itself, and the mask of a tensor is the same in whatever pieces and in whatever order it is made.
"""

from __future__ import annotations

import numpy as np

from harmonia.core.seeds import generator

PER_BLOCK = 8
"""Draws of 32 bits in one block of the generator."""


def mask_key(seed: int, *words: str | int) -> np.ndarray:
    """Return a key that depends on seed and words alone: (2,) uint64."""
    return generator(seed, *words).integers(0, 2**64, 2, dtype=np.uint64)


def draws(key: np.ndarray, start: int, count: int) -> np.ndarray:
    """Return the 32 random bits of each element of a run: (count,) uint32.

    Args:
        key: (2,) uint64.
        start: place of the first element.
        count: elements.

    >>> key = mask_key(0, "drop", 1, "layer.weight")
    >>> bool((draws(key, 0, 100)[37:50] == draws(key, 37, 13)).all())
    True
    """
    block, skip = divmod(start, PER_BLOCK)
    blocks = -(-(skip + count) // PER_BLOCK)
    raw = np.random.Philox(key=key, counter=block).random_raw(blocks * PER_BLOCK // 2)
    return raw.astype("<u8", copy=False).view("<u4")[skip : skip + count]


def bernoulli(key: np.ndarray, start: int, count: int, probability: float | np.ndarray) -> np.ndarray:
    """Return a mask that is on with a probability: (count,) bool.

    Args:
        key: (2,) uint64.
        start: place of the first element.
        count: elements.
        probability: one in [0, 1] for all, exact to 2^-32, or (count,) float64, one for each.

    >>> bernoulli(mask_key(0), 0, 10**5, 0.2).mean().round(2), bool(bernoulli(mask_key(0), 0, 100, 1).all())
    (np.float64(0.2), True)
    """
    bits = draws(key, start, count)
    if isinstance(probability, np.ndarray):
        return bits * 2.0**-32 < probability
    below = round(probability * 2**32)
    return bits <= np.uint32(below - 1) if below else np.zeros(count, bool)
