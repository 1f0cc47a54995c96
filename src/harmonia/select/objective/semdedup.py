"""SemDeDup: prefer documents that no earlier document of their cluster resembles.

score_j = 1 - max over earlier i of cos(x_i, x_j), 2 for the first of a cluster; documents with a score below eps are
duplicates and are never taken (Abbas, Tirumala, Simig, Ganguli and Morcos 2023, arXiv 2303.09540).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from harmonia.core.seeds import uniforms
from harmonia.maths.clustering import Clusters
from harmonia.maths.duplicates import earlier_similarity, eps_for, exceeds, independent
from harmonia.select.clusters import pool_clusters
from harmonia.select.context import Context
from harmonia.select.kept_name import kept_name
from harmonia.select.objective.base import Objective
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular

Order = Literal["hard", "easy", "random"]


class SemDeDup(Objective):
    """Distance to the nearest earlier document of the cluster; below eps a document is excluded.

    With solver ``top-n`` and eps 0 the budget chooses eps: the k documents kept are those that the authors' rule
    keeps at the eps that leaves k.
    """

    kind: Literal["semdedup"] = "semdedup"

    eps: Annotated[float, Field(ge=0, le=2)] = 0.0
    """A document with a cosine above 1 - eps to an earlier one is excluded. 0 excludes nothing; exact copies need an
    eps above the rounding of the features, 1e-5 say. The paper uses 0.01 to 0.1 and more, by data."""
    keep: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of the documents that stays, instead of ``eps``: the largest eps that leaves so many."""
    rule: Literal["official", "independent"] = "official"
    """Compare with all earlier documents, as the authors' code does, or with those that are themselves kept: of a chain
    a-b-c with only the neighbours alike, the first keeps a, the second a and c."""
    order: Order = "hard"
    """Which document of a cluster comes first and so survives: farthest from the centroid, nearest, or random."""
    clusters: Annotated[int, Field(ge=1)] | None = None
    """Number of clusters; default the square root of the number of documents. The paper: 50,000 for 440 million."""
    iterations: Annotated[int, Field(ge=1)] = 20
    """Most k-means iterations (authors' configuration: 100)."""

    references: ClassVar[tuple[str, ...]] = ("abbas2023semdedup",)

    @model_validator(mode="after")
    def _one_amount(self) -> SemDeDup:
        if self.keep is not None and self.eps > 0:
            raise ValueError("give either eps or keep, not both")
        if self.keep is not None and self.rule == "independent":
            raise ValueError("keep needs the official rule, whose maxima serve every eps; the other needs eps")
        return self

    def fit(self, pool: Pool, context: Context) -> Modular:
        clusters = pool_clusters(pool, context, count=self.clusters, iterations=self.iterations, what="semdedup")
        rank = within_cluster_order(pool, context, clusters, self.order)
        matrix = pool.need_features("semdedup")

        def compare() -> dict[str, np.ndarray]:
            if self.rule == "independent":
                return {"similarity": independent(matrix, clusters.labels, rank, self.eps)}
            return {"similarity": earlier_similarity(matrix, clusters.labels, rank)}

        similarity = context.keep(kept_name(self, "similarity"), compare)["similarity"]
        # documents without a direction cannot stay, so they do not count among those that do
        eps = self.eps if self.keep is None else eps_for(np.where(clusters.labels < 0, np.inf, similarity), self.keep)
        excluded = exceeds(similarity, eps) | (clusters.labels < 0)
        return Modular("semdedup", np.where(excluded, -np.inf, np.minimum(1 - similarity, 2)))


def within_cluster_order(pool: Pool, context: Context, clusters: Clusters, order: Order) -> np.ndarray:
    """Return the place of each document within its cluster, smallest first: (n,) float64."""
    if order == "random":
        return uniforms(pool.keys, context.seed, "semdedup")
    similarity = clusters.similarity.astype(np.float64)
    return similarity if order == "hard" else -similarity
