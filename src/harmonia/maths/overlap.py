"""How far sources mix: do the neighbours of a document come from other sources as often as chance would have it?

Nearest-neighbour coincidences (Schilling 1986, JASA 81; Henze 1988, Ann. Statist. 16): among the K nearest of each
query of source a, count those of source b, and divide by the count expected if sources were shuffled over the
documents. The subspace overlap ``||U_a^T U_b||_F^2 / r`` is the mean squared cosine of the principal angles between the
leading r directions of two sources (Krzanowski 1979, JASA 74).
"""

from __future__ import annotations

import numpy as np


def coincidences(sources: np.ndarray, neighbours: np.ndarray, queries: int) -> np.ndarray:
    """Count the neighbours by source: (queries, queries) int64, entry (a, b) is how many of a's neighbours lie in b.

    Args:
        sources: (q,) source of each query, below ``queries``.
        neighbours: (q, K) source of each neighbour.
        queries: number of sources.

    >>> coincidences(np.array([0, 1]), np.array([[0, 1], [1, 1]]), 2).tolist()
    [[1, 1], [0, 2]]
    """
    pairs = sources.astype(np.int64)[:, None] * queries + neighbours
    return np.bincount(pairs.ravel(), minlength=queries**2).reshape(queries, queries)


def mixing(counts: np.ndarray, sizes: np.ndarray, least: float = 5.0) -> np.ndarray:
    """Return observed over expected coincidences, both directions together: (s, s), symmetric.

    1 where two sources are as one, 0 where they lie apart; on the diagonal, above 1 where a source keeps to itself. A
    document is never its own neighbour: the expected share of source b is n_b / (n - 1), and (n_a - 1) / (n - 1) for
    a's own.

    Args:
        counts: (s, s), from ``coincidences``.
        sizes: (s,) documents of each source among which neighbours were sought.
        least: expected count below which a pair is nan, since nothing can be said.
    """
    sizes = np.asarray(sizes, np.float64)
    share = np.tile(sizes, (len(sizes), 1))
    np.fill_diagonal(share, np.maximum(sizes - 1, 0))
    expected = counts.sum(axis=1, keepdims=True) * share / max(sizes.sum() - 1, 1)
    both = expected + expected.T
    return np.divide(counts + counts.T, both, out=np.full(both.shape, np.nan), where=both >= 2 * least)


def subspace_overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean squared cosine of the principal angles of two subspaces, in [0, 1].

    Random subspaces of dimension r in d dimensions have r / d on average.

    Args:
        a: (d, r) orthonormal columns.
        b: (d, r) orthonormal columns.

    >>> subspace_overlap(np.eye(3)[:, :2], np.eye(3)[:, 1:])
    0.5
    """
    return float(((a.T @ b) ** 2).sum() / a.shape[1])
