"""The clusters of a pool, fitted once and kept with the run."""

from __future__ import annotations

import math

import numpy as np

from harmonia.core.errors import InputError
from harmonia.maths.clustering import Clusters, spherical_kmeans
from harmonia.select.context import Context
from harmonia.select.pool import Pool


def pool_clusters(
    pool: Pool,
    context: Context,
    *,
    count: int | None,
    iterations: int,
    what: str,
    rows: np.ndarray | None = None,
    of: str = "pool",
) -> Clusters:
    """Return spherical k-means clusters of the pool's features.

    Args:
        pool: documents with features.
        context: seed, and where the clusters are kept.
        count: number of clusters; None takes the square root of the number of documents.
        iterations: most Lloyd iterations.
        what: part that asks, for messages.
        rows: (m,) the rows to cluster (default all).
        of: names the rows; parts that cluster the same rows in the same way share the result.

    Raises:
        InputError: no features, more clusters than documents, or no document with a vector that is not zero.
    """
    matrix = pool.need_features(what)
    size = len(pool) if rows is None else len(rows)
    count = max(1, round(math.sqrt(size))) if count is None else count
    if count > size:
        raise InputError(f"{what}: {count} clusters for {size} documents; lower it")

    def cluster() -> dict[str, np.ndarray]:
        found = spherical_kmeans(matrix, count, keys=pool.keys, seed=context.seed, iterations=iterations, rows=rows)
        return {"centroids": found.centroids, "labels": found.labels, "similarity": found.similarity}

    clusters = Clusters(**context.keep(f"clusters-{of}-{count}-{iterations}", cluster))
    zero = np.flatnonzero(clusters.labels < 0)
    if len(zero) == size:
        raise InputError(f"{what}: the features of all {size} documents are zero; they cannot be compared")
    if len(zero):
        name = pool.name_of(int(zero[0] if rows is None else rows[zero[0]]))
        context.warn(f"{what} excludes {len(zero)} of {size} documents whose features are zero (the first: {name!r})")
    return clusters
