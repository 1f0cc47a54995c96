"""Random projections of long vectors that keep inner products (Johnson and Lindenstrauss).

z = R g / sqrt(p) with R in {-1, +1}^{p x P}: E<z, z'> = <g, g'>, with a standard deviation of about |g| |g'| / sqrt(p)
(Achlioptas 2003). R is drawn block by block from the seed and never stored.
"""

from __future__ import annotations

import numpy as np

from harmonia.core.seeds import generator

_SIGNS_AT_ONCE = 1 << 24


def rademacher_projection(g: np.ndarray, dimension: int, seed: int, *path: str | int) -> np.ndarray:
    """Project the rows of ``g`` by a shared matrix of random signs.

    Args:
        g: (n, P) vectors.
        dimension: p, length of the projections.
        seed: seed of the signs; the matrix depends on the seed, ``path``, P and p only.
        path: words that name the purpose.

    Returns:
        (n, p), in the type of ``g``.
    """
    n, length = g.shape
    out = np.zeros((n, dimension), g.dtype)
    rows = max(1, _SIGNS_AT_ONCE // dimension)
    for block, start in enumerate(range(0, length, rows)):
        stop = min(start + rows, length)
        count = (stop - start) * dimension
        random = generator(seed, "rademacher", *path, block).bytes(-(-count // 8))
        bits = np.unpackbits(np.frombuffer(random, np.uint8), count=count).reshape(stop - start, dimension)
        # sum of +-g = 2 (sum over set bits) - sum
        out += 2 * (g[:, start:stop] @ bits.astype(g.dtype)) - g[:, start:stop].sum(axis=1, keepdims=True)
    return out / np.sqrt(dimension).astype(g.dtype)
