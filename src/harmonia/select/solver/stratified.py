"""Stratified sampling: a quota per source or per cluster, and inside each stratum the best or a random draw.

quota_c is proportional to n_c^alpha, capped at what the stratum holds, the rest water-filled over the others.
alpha = 1 keeps the pool's proportions, alpha = 0 takes equally from all (temperature sampling of languages: Conneau et
al. 2020, arXiv 1911.02116).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.core.seeds import gumbels
from harmonia.maths.gumbel import gumbel_keys, standardise
from harmonia.maths.quotas import tempered_shares
from harmonia.select.solver.base import Picks, Problem, Solver
from harmonia.select.solver.modular import own_scores, own_terms
from harmonia.select.solver.shares import Chosen, Share, spend, split


class Stratified(Solver):
    """A quota per source or cluster; inside each stratum by score and Gumbel noise."""

    kind: Literal["stratified"] = "stratified"

    strata: Literal["source", "cluster"] = "source"
    """What the quotas are over: the documents' sources, or k-means clusters of their features."""
    alpha: float = Field(1.0, ge=0, le=1)
    """Quotas are proportional to n^alpha: 1 proportional, 0 equal."""
    redistribute: bool = True
    """Give what a small stratum cannot fill to the others; False refuses such quotas."""
    clusters: int = Field(64, ge=2)
    """Number of clusters for strata = cluster."""
    temperature: float = Field(1.0, ge=0)
    """Inside a stratum: 0 takes the highest scores, large values draw uniformly."""

    references: ClassVar[tuple[str, ...]] = ("conneau2020unsupervised",)

    def solve(self, problem: Problem) -> Picks:
        scores = own_scores(problem, self.kind)
        keys = gumbel_keys(
            standardise(scores), gumbels(problem.pool.keys, problem.context.seed, "gumbel"), self.temperature
        )
        groups = np.where(scores > -np.inf, self._strata(problem), -1)
        tokens = problem.pool.tokens if problem.budget.unit == "tokens" else np.ones(len(groups))
        sizes = np.bincount(groups[groups >= 0], weights=tokens[groups >= 0])
        shares = tempered_shares(sizes, self.alpha)
        if not self.redistribute:
            self._check(problem, shares, sizes)

        def take(share: Share) -> Chosen:
            rows = share.rows[share.top(keys[share.rows])]
            return Chosen(rows, scores[rows], own_terms(problem.function, rows))

        return spend(problem, split(problem, groups, shares), take)

    def _strata(self, problem: Problem) -> np.ndarray:
        if self.strata == "source":
            return problem.pool.sources.astype(np.int64)
        from harmonia.maths.clustering import spherical_kmeans

        features = problem.pool.need_features("solver stratified with strata=cluster")
        labels = spherical_kmeans(
            features, min(self.clusters, len(problem.pool)), keys=problem.pool.keys, seed=problem.context.seed
        ).labels.astype(np.int64)
        # documents whose features are zero belong to no cluster: they are a stratum of their own
        return np.where(labels < 0, labels.max() + 1, labels)

    def _check(self, problem: Problem, shares: np.ndarray, sizes: np.ndarray) -> None:
        wanted = shares * problem.budget.amount
        for c in np.flatnonzero(wanted > sizes + 1e-6):
            name = repr(problem.pool.source_names[c]) if self.strata == "source" else f"cluster {c}"
            raise InputError(
                f"the quota of {name} is {wanted[c]:.0f} {problem.budget.unit}, but it holds only "
                f"{sizes[c]:.0f}; lower the budget or set solver.redistribute=true"
            )
