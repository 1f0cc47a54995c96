"""D4: remove semantic duplicates, cluster what is left anew, and prefer what is far from its centroid.

score_j = 1 - cos(x_j, c(x_j)) over the documents that SemDeDup keeps (Tirumala, Simig, Aghajanyan and Morcos,
NeurIPS 2023, arXiv 2308.12284). Duplicates form tight clusters of their own; without them the second clusters show
topics, and the documents nearest to a centroid are the most ordinary ones.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.select.clusters import pool_clusters
from harmonia.select.context import Context
from harmonia.select.kept_name import kept_name
from harmonia.select.objective.base import Objective
from harmonia.select.objective.semdedup import Order, SemDeDup
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular


class D4(Objective):
    """SemDeDup down to a share of the pool, then distance to the centroid of new clusters."""

    kind: Literal["d4"] = "d4"

    dedup: Annotated[float, Field(gt=0, le=1)] = 0.75
    """R_dedup: share of the pool that stays after the removal of duplicates."""
    order: Order = "hard"
    """Which document of a first cluster comes first and so survives."""
    clusters: Annotated[int, Field(ge=1)] | None = None
    """Number of clusters, both times; default the square root of the number of documents."""
    iterations: Annotated[int, Field(ge=1)] = 20
    """Most k-means iterations."""

    references: ClassVar[tuple[str, ...]] = ("tirumala2023d4", "abbas2023semdedup")

    def fit(self, pool: Pool, context: Context) -> Modular:
        unique = SemDeDup(keep=self.dedup, order=self.order, clusters=self.clusters, iterations=self.iterations)
        rows = np.flatnonzero(np.isfinite(unique.fit(pool, context).scores()))
        count = None if self.clusters is None else min(self.clusters, len(rows))
        again = pool_clusters(
            pool, context, count=count, iterations=self.iterations, what="d4", rows=rows, of=kept_name(self, "unique")
        )
        scores = np.full(len(pool), -np.inf)
        scores[rows] = 1 - again.similarity.astype(np.float64)
        return Modular("d4", scores)
