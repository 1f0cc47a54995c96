"""Randomness that depends on names, never on order, workers or shards.

Two devices serve everything: a generator keyed by a seed and a path of words, and one uniform number per
identifier, ``hash(seed, id)``. The second makes a random choice a property of the document itself, so that
splitting, shuffling or extending the data leaves the choice as it was, and a smaller budget is a prefix of a larger.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def generator(seed: int, *path: str | int) -> np.random.Generator:
    """Return a generator that depends on ``seed`` and the words of ``path`` only.

    >>> a, b = generator(0, "kmeans", 3), generator(0, "kmeans", 3)
    >>> bool(a.random() == b.random())
    True
    """
    digest = hashlib.blake2b("\x1f".join([str(seed), *map(str, path)]).encode(), digest_size=16).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint64))


def stable_hash(ids: Iterable[str | bytes]) -> np.ndarray:
    """Return a 64-bit hash per identifier, equal on every machine: (n,) uint64."""
    hashes = (hashlib.blake2b(i.encode() if isinstance(i, str) else i, digest_size=8).digest() for i in ids)
    return np.frombuffer(b"".join(hashes), "<u8").astype(np.uint64)


def mix(hashes: np.ndarray, seed: int, *path: str | int) -> np.ndarray:
    """Return hashes re-drawn for a seed and purpose (SplitMix64 finaliser): (n,) uint64 -> (n,) uint64."""
    salt = generator(seed, *path).integers(0, 2**63, dtype=np.uint64)
    with np.errstate(over="ignore"):
        z = (np.asarray(hashes, np.uint64) ^ salt) + _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
        return z ^ (z >> np.uint64(31))


def uniforms(hashes: np.ndarray, seed: int, *path: str | int) -> np.ndarray:
    """Return one uniform number in the open interval (0, 1) per hash: (n,) float64."""
    return ((mix(hashes, seed, *path) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def gumbels(hashes: np.ndarray, seed: int, *path: str | int) -> np.ndarray:
    """Return one standard Gumbel variate per hash, ``-log(-log(u))``: (n,) float64."""
    return -np.log(-np.log(uniforms(hashes, seed, *path)))
