"""Spherical k-means over a matrix read by blocks.

Maximises sum_i cos(x_i, c_{l(i)}) by Lloyd's algorithm on rows of length 1 (Dhillon and Modha 2001), from k-means++
centres (Arthur and Vassilvitskii 2007). As in large-scale practice the centres are trained on at most 256 rows
per cluster; then every row is assigned once. Memory is a block of rows and 32 rows per cluster, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harmonia.core.errors import InputError
from harmonia.core.seeds import generator, uniforms
from harmonia.maths.rows import Matrix

_SEEDING, _TRAINING = 32, 256  # rows per cluster that choose the first centres, and that move them
_CELLS = 1 << 22  # similarities held at once


@dataclass(frozen=True)
class Clusters:
    """A partition of m rows.

    Attributes:
        centroids: (k, d) float32, of length 1.
        labels: (m,) int32, the nearest centroid of each row (ties: the lowest); -1 for a zero row.
        similarity: (m,) float32, cosine to that centroid, in [-1, 1]; 0 for a zero row.
    """

    centroids: np.ndarray
    labels: np.ndarray
    similarity: np.ndarray


def unit_rows(block: np.ndarray) -> np.ndarray:
    """Return the rows divided by their length; a zero row stays zero. float32."""
    block = np.asarray(block, np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float64))[:, None]
    return (block / np.where(norms == 0, 1, norms)).astype(np.float32)


def spherical_kmeans(
    matrix: Matrix, k: int, *, keys: np.ndarray, seed: int = 0, iterations: int = 20, rows: np.ndarray | None = None
) -> Clusters:
    """Cluster rows by direction.

    Which rows start and train the centres is drawn from ``keys``, so the clusters do not depend on the order of the
    rows. A cluster that loses all its rows restarts at the row that fits its own centroid worst.

    Args:
        matrix: (n, d) any lengths; zero rows belong to no cluster.
        k: number of clusters, 1 to the number of rows.
        keys: (n,) uint64, stable hash of each row's identifier.
        seed: seed of the draw.
        iterations: most Lloyd iterations; it ends earlier when no row changes its cluster.
        rows: (m,) the rows to cluster (default all).

    Raises:
        InputError: ``k`` is out of range, or a row is not finite.
    """
    rows = np.arange(matrix.shape[0]) if rows is None else np.asarray(rows)
    if not 1 <= k <= len(rows):
        raise InputError(f"{k} clusters of {len(rows)} documents: give 1 to {len(rows)} clusters")
    by_key = rows[np.lexsort((rows, uniforms(keys[rows], seed, "k-means")))]
    centroids = _plus_plus(_read(matrix, by_key[: _SEEDING * k]), k, generator(seed, "k-means++"))
    training = by_key[: _TRAINING * k]
    labels = np.full(len(training), -1, np.int32)
    for _ in range(iterations):
        sums, new, similarity = _lloyd(matrix, training, centroids)
        if np.array_equal(new, labels):
            break
        labels = new
        empty = np.flatnonzero(np.bincount(labels[labels >= 0], minlength=k) == 0)
        worst = np.argsort(np.where(labels < 0, 1, similarity), kind="stable")[: len(empty)]
        sums[empty] = unit_rows(matrix[training[worst]])
        moved = unit_rows(sums)
        centroids = np.where(moved.any(axis=1, keepdims=True), moved, centroids)
    labels, similarity = np.empty(len(rows), np.int32), np.empty(len(rows), np.float32)
    for here, _, label, cosine in _assignments(matrix, rows, centroids):
        labels[here], similarity[here] = label, cosine
    return Clusters(centroids, labels, similarity)


def _read(matrix: Matrix, rows: np.ndarray) -> np.ndarray:
    block = np.asarray(matrix[rows], np.float32)
    if not np.isfinite(block).all():
        bad = int(rows[np.flatnonzero(~np.isfinite(block).all(axis=1))[0]])
        raise InputError(f"the features of row {bad} are not finite; drop the document or encode it again")
    return unit_rows(block)


def _plus_plus(sample: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Return k rows: (k, d), each the best of a few drawn in proportion to 1 - cos with the nearest chosen before."""
    trials = 2 + int(np.log(k))
    chosen = [0]
    nearest = _distances(sample, np.array([0]))[:, 0]
    for draws in rng.random((k - 1, trials)):
        mass = np.cumsum(nearest)
        if mass[-1] > 0:
            last = int(np.searchsorted(mass, mass[-1]))
            drawn = np.minimum(np.searchsorted(mass, draws * mass[-1], side="right"), last)
        else:  # fewer than k directions: any unused row
            drawn = np.setdiff1d(np.arange(len(sample)), chosen)[:1]
        left = np.minimum(nearest[:, None], _distances(sample, drawn))
        best = int(np.argmin(left.sum(axis=0)))
        chosen.append(int(drawn[best]))
        nearest = left[:, best]
    return sample[chosen]


def _distances(sample: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return 1 - cos of every row to each of ``rows``, exactly 0 to itself: (n, len(rows)) float64."""
    distance = np.maximum(1.0 - (sample @ sample[rows].T).astype(np.float64), 0.0)
    distance[rows, np.arange(len(rows))] = 0.0
    return distance


def _assignments(
    matrix: Matrix, rows: np.ndarray, centroids: np.ndarray
) -> Iterator[tuple[slice, np.ndarray, np.ndarray, np.ndarray]]:
    size = max(_CELLS // max(centroids.shape), 64)
    for start in range(0, len(rows), size):
        here = slice(start, min(start + size, len(rows)))
        block = _read(matrix, rows[here])
        cosines = block @ centroids.T
        label = np.argmax(cosines, axis=1).astype(np.int32)
        cosine = np.clip(np.take_along_axis(cosines, label[:, None], axis=1)[:, 0], -1, 1)
        zero = ~block.any(axis=1)
        label[zero], cosine[zero] = -1, 0.0
        yield here, block, label, cosine


def _lloyd(matrix: Matrix, rows: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sum of each cluster's unit rows (k, d) float64, the labels and the similarities."""
    sums = np.zeros(centroids.shape)
    labels, similarity = np.empty(len(rows), np.int32), np.empty(len(rows), np.float32)
    for here, block, label, cosine in _assignments(matrix, rows, centroids):
        labels[here], similarity[here] = label, cosine
        order = np.argsort(label, kind="stable")
        present, starts = np.unique(label[order], return_index=True)  # the rows of label -1 are zero: they add nothing
        sums[present] += np.add.reduceat(block[order].astype(np.float64), starts, axis=0)
    return sums, labels, similarity
