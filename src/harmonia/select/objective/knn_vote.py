"""Votes of nearest neighbours: every target text votes for the K documents nearest to it by cosine similarity.

r_j = sum_i 1[j in N_K(x_i)]; among equal votes the larger mean similarity to the target wins. The first stage of
NTK-Selector (Wang et al. 2025, arXiv 2511.07380).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from harmonia.core.errors import InputError
from harmonia.maths.neighbours import neighbour_votes
from harmonia.maths.rows import blocks
from harmonia.select.budget import Budget
from harmonia.select.context import Context
from harmonia.select.examples import Paths
from harmonia.select.objective.base import Objective
from harmonia.select.objective.mean_alignment import target_vectors
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular
from harmonia.select.target import targets_of, warn_of_overlap


class KnnVote(Objective):
    """Number of target texts that have the document among their K nearest.

    The score is r + (1 + m) / 4 with m the mean cosine to the target: its whole part is the votes, and the rest,
    at most 1/2, breaks ties.
    """

    kind: Literal["knn-vote"] = "knn-vote"

    target: Paths = ()
    """Files of target texts; without any, the target that tangent features were warmed up on."""
    target_texts: tuple[str, ...] = ()
    """Target texts given directly."""
    neighbours: str | int | float = "5%"
    """K, documents that each target votes for: a share or a number of documents. The paper takes as many as will be
    picked, a quarter of what survives this stage."""

    references: ClassVar[tuple[str, ...]] = ("wang2025ntkselector",)

    def fit(self, pool: Pool, context: Context) -> Modular:
        k = self._k(len(pool))
        encoder = pool.need_encoder(self.kind)
        targets = targets_of(self.target, self.target_texts, encoder, self.kind)
        warn_of_overlap(targets, pool, context, self.kind)
        vectors = target_vectors(encoder, targets, pool, self.kind)
        votes = neighbour_votes(vectors, (z for _, z in blocks(pool.need_features(self.kind), 4096)), k, context.dtype)
        bad = np.flatnonzero(~np.isfinite(votes.means))
        if len(bad):
            raise InputError(f"{self.kind}: the vector of document {pool.name_of(int(bad[0]))!r} is not finite")
        return Modular(self.kind, votes.counts + (1.0 + np.clip(votes.means, -1.0, 1.0)) / 4.0)

    def _k(self, n: int) -> int:
        try:
            number = Budget.parse(self.neighbours, n, 10**18)
        except InputError as error:
            raise InputError(f"{self.kind}.neighbours: {str(error).replace('budget ', '', 1)}") from error
        if number.unit != "documents":
            raise InputError(f"{self.kind}.neighbours is {self.neighbours!r}; give a share or a number of documents")
        return number.amount
