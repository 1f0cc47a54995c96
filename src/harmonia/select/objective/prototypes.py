"""Self-supervised prototypes: documents far from the centroid of their cluster, or near to it.

score_j = 1 - cos(x_j, c(x_j)), or its negative (Sorscher, Geirhos, Shekhar, Ganguli and Morcos, NeurIPS 2022,
arXiv 2206.14486): keep the hard ones when data are plenty, the easy ones when they are few.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.select.clusters import pool_clusters
from harmonia.select.context import Context
from harmonia.select.objective.base import Objective
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular


class Prototypes(Objective):
    """Distance to the document's own centroid; optionally the clusters take turns."""

    kind: Literal["prototypes"] = "prototypes"

    prefer: Literal["hard", "easy"] = "hard"
    """The farthest from their centroid, or the nearest."""
    balance: Literal["none", "equal", "proportional"] = "none"
    """How the best documents of different clusters compare: by distance; by place within the cluster, so that clusters
    take turns; or by place over cluster size, which is proportional apportionment (Sainte-Lague)."""
    clusters: Annotated[int, Field(ge=1)] | None = None
    """Number of clusters; default the square root of the number of documents."""
    iterations: Annotated[int, Field(ge=1)] = 20
    """Most k-means iterations."""

    references: ClassVar[tuple[str, ...]] = ("sorscher2022beyond",)

    def fit(self, pool: Pool, context: Context) -> Modular:
        clusters = pool_clusters(pool, context, count=self.clusters, iterations=self.iterations, what="prototypes")
        distance = 1 - clusters.similarity.astype(np.float64)
        scores = distance if self.prefer == "hard" else -distance
        if self.balance != "none":
            place, size = place_in_cluster(scores, clusters.labels)
            # the distance, below one place, orders documents of the same place
            scores = -place + scores / 4 if self.balance == "equal" else -(place + 0.5) / size
        return Modular("prototypes", np.where(clusters.labels < 0, -np.inf, scores))


def place_in_cluster(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's place by descending score within its cluster, from 0, and the size of the cluster.

    >>> place, size = place_in_cluster(np.array([.1, .9, .5]), np.array([0, 0, 1]))
    >>> place.tolist(), size.tolist()
    ([1, 0, 0], [2, 2, 1])
    """
    order = np.lexsort((np.arange(len(scores)), -scores, labels))
    _, starts, index, counts = np.unique(labels[order], return_index=True, return_inverse=True, return_counts=True)
    place, size = np.empty(len(scores), np.int64), np.empty(len(scores), np.int64)
    place[order], size[order] = np.arange(len(scores)) - starts[index], counts[index]
    return place, size
