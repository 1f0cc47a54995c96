"""What tells experts apart whatever they are called and in whatever order they are given: some of their numbers."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from harmonia.data.checkpoints import AdaptedCheckpoint, Checkpoint, Stored

SAMPLED = 1024
"""Bytes that are read of each tensor, from its middle."""


def identities(experts: Sequence[Checkpoint]) -> list[str]:
    """Return a word for each expert that depends on its names and numbers; of equal ones the later is told apart."""
    seen: Counter[str] = Counter()
    found = []
    for expert in experts:
        digest = _digest(expert)
        found.append(f"{digest}-{seen[digest]}" if seen[digest] else digest)
        seen[digest] += 1
    return found


def _digest(expert: Checkpoint) -> str:
    mixed = hashlib.blake2b(digest_size=16)
    changes = expert.changes.items() if isinstance(expert, AdaptedCheckpoint) else ()
    factors = [(f"{name} {place}", f) for name, c in changes for place, f in enumerate((c.first, c.second))]
    for name, stored in sorted([*expert.tensors.items(), *factors], key=lambda named: named[0]):
        mixed.update(f"{name} {stored.dtype} {stored.shape} ".encode())
        mixed.update(_sample(expert, stored).tobytes())
    return mixed.hexdigest()


def _sample(expert: Checkpoint, stored: Stored) -> np.ndarray:
    length = min(SAMPLED, stored.bytes)
    raw = np.empty(length, np.uint8)
    expert.read_stored(stored, (stored.bytes - length) // 2, raw.data)
    return raw
