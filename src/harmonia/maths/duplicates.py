"""Semantic duplicates: rows whose cosine with an earlier row of their cluster is large.

SemDeDup (Abbas et al. 2023, arXiv 2303.09540) orders each cluster and removes row j when
max_{i < j} cos(x_i, x_j) > 1 - eps. The maximum over ALL earlier rows, removed ones too, is computed once and serves
every eps; the ``independent`` rule compares with kept rows only, so that a chain a-b-c keeps both of its ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harmonia.maths.clustering import unit_rows
from harmonia.maths.rows import Matrix

_BLOCK = 2048


def earlier_similarity(
    matrix: Matrix, labels: np.ndarray, rank: np.ndarray, *, rows: np.ndarray | None = None
) -> np.ndarray:
    """Return each row's largest cosine with an earlier row of its cluster: (m,) float64 in [-1, 1].

    The first row of a cluster has none and gets -inf, as does a row of no cluster. Time sum_c n_c^2 d, memory a few
    blocks.

    Args:
        matrix: (n, d) of any lengths.
        labels: (m,) cluster of each row; a negative one belongs to none.
        rank: (m,) order within the cluster, smallest first; ties by position.
        rows: (m,) the rows of ``matrix`` that are meant (default all).
    """
    rows = np.arange(len(labels)) if rows is None else rows
    largest = np.full(len(labels), -np.inf)
    for members in _ordered_clusters(labels, rank):
        for block, vectors in _vectors(matrix, rows, members):
            for earlier, others in _vectors(matrix, rows, members, block.stop):
                cosines = others @ vectors.T
                if earlier.start == block.start:
                    cosines[np.tri(len(cosines), dtype=bool)] = -np.inf  # only strictly earlier rows count
                here = members[block]
                largest[here] = np.maximum(largest[here], cosines.max(axis=0))
    return np.minimum(largest, 1.0)


def independent(
    matrix: Matrix, labels: np.ndarray, rank: np.ndarray, eps: float, *, rows: np.ndarray | None = None
) -> np.ndarray:
    """Return as ``earlier_similarity``, but with the maximum over earlier rows that are kept at this ``eps``.

    A row is kept when the value is at most 1 - eps: no two kept rows of a cluster have a cosine above 1 - eps, and
    every removed row has a kept one that near.
    """
    rows = np.arange(len(labels)) if rows is None else rows
    largest = np.full(len(labels), -np.inf)
    for members in _ordered_clusters(labels, rank):
        kept = np.empty(0, np.int64)
        for block, vectors in _vectors(matrix, rows, members):
            here = members[block]
            for _, others in _vectors(matrix, rows, kept):
                largest[here] = np.maximum(largest[here], np.minimum((others @ vectors.T).max(axis=0), 1.0))
            cosines = np.minimum(vectors @ vectors.T, 1.0)
            for j in range(len(here)):
                if not exceeds(largest[here[j]], eps):
                    later = here[j + 1 :]
                    largest[later] = np.maximum(largest[later], cosines[j, j + 1 :])
            kept = np.concatenate([kept, here[~exceeds(largest[here], eps)]])
    return largest


def exceeds(similarity: np.ndarray, eps: float) -> np.ndarray:
    """Return where a similarity makes a duplicate: 1 - similarity < eps."""
    return 1.0 - np.asarray(similarity, np.float64) < eps


def eps_for(similarity: np.ndarray, keep: float) -> float:
    """Return the largest eps at which at least a share ``keep`` of the rows stays, from their cached maxima.

    Args:
        similarity: (n,) what ``earlier_similarity`` returned.
        keep: share in (0, 1].

    >>> eps_for(np.array([-np.inf, .9, .5, .99]), 0.5)
    0.5
    """
    distance = np.sort(1.0 - np.asarray(similarity, np.float64))[::-1]
    return float(min(distance[max(1, round(keep * len(distance))) - 1], 2.0))


@dataclass(frozen=True)
class DuplicateGroup:
    """Rows that hang together through cosines of at least a threshold.

    Attributes:
        rows: (m,) int64, ascending, m >= 2.
        similarity: mean cosine over all pairs of the group.
    """

    rows: np.ndarray
    similarity: float


def duplicate_groups(matrix: Matrix, labels: np.ndarray, threshold: float = 0.95) -> list[DuplicateGroup]:
    """Return the groups of near-duplicates within each cluster, the largest first.

    Groups are the connected components of the graph of pairs with a cosine of at least ``threshold``. Memory is a
    few blocks and a spanning forest per block, never all pairs.

    Args:
        matrix: (n, d) of any lengths; zero rows belong to no group.
        labels: (n,) clusters, negative for none; pairs across clusters are not looked at. All 0 looks at every pair.
        threshold: smallest cosine of a pair, in (0, 1].
    """
    all_rows = np.arange(len(labels))
    groups: list[DuplicateGroup] = []
    for members in _ordered_clusters(labels, all_rows):
        edges = [np.empty((2, 0), np.int64)]
        for block, vectors in _vectors(matrix, all_rows, members):
            for earlier, others in _vectors(matrix, all_rows, members, block.stop):
                # one block against one: unit rows may miss a cosine of 1 by rounding
                pairs = np.stack(np.nonzero(others @ vectors.T >= threshold - 1e-6))
                edges.append(_forest(pairs + np.array([[earlier.start], [block.start]])))
        component = _components(np.concatenate(edges, axis=1), len(members))
        order = np.argsort(component, kind="stable")
        parts = np.split(members[order], np.flatnonzero(np.diff(component[order])) + 1)
        groups += [DuplicateGroup(group, _mean_cosine(matrix, group)) for group in parts if len(group) > 1]
    return sorted(groups, key=lambda group: (-len(group.rows), int(group.rows[0])))


def _ordered_clusters(labels: np.ndarray, rank: np.ndarray) -> Iterator[np.ndarray]:
    order = np.lexsort((np.arange(len(labels)), rank, labels))
    order = order[np.asarray(labels)[order] >= 0]
    if len(order):
        yield from np.split(order, np.flatnonzero(np.diff(np.asarray(labels)[order])) + 1)


def _vectors(
    matrix: Matrix, rows: np.ndarray, members: np.ndarray, stop: int | None = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (position in members, unit rows) block by block."""
    for start in range(0, len(members) if stop is None else stop, _BLOCK):
        here = slice(start, min(start + _BLOCK, len(members)))
        yield here, unit_rows(matrix[rows[members[here]]])


def _components(edges: np.ndarray, size: int) -> np.ndarray:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(edges.shape[1], np.int8), (edges[0], edges[1])), shape=(size, size))
    return connected_components(graph, directed=False)[1]


def _forest(edges: np.ndarray) -> np.ndarray:
    """Return edges that connect the same vertices with fewer edges than vertices: (2, e)."""
    vertices, index = np.unique(edges, return_inverse=True)
    if not len(vertices):
        return edges
    component = _components(index.reshape(2, -1), len(vertices))
    order = np.argsort(component, kind="stable")
    chain = np.diff(component[order]) == 0
    return np.stack([vertices[order[:-1]][chain], vertices[order[1:]][chain]])


def _mean_cosine(matrix: Matrix, group: np.ndarray) -> float:
    total, squares = np.zeros(matrix.shape[1]), 0.0
    for start in range(0, len(group), _BLOCK):
        block = unit_rows(matrix[group[start : start + _BLOCK]]).astype(np.float64)
        total += block.sum(axis=0)
        squares += float((block * block).sum())
    pairs = len(group) * (len(group) - 1)
    return float((total @ total - squares) / pairs)
