"""Search under a budget of multiplications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from harmonia.compress.allocation.base import Allocation, by_unit
from harmonia.compress.allocation.search import best_within
from harmonia.compress.site import Site


class MacSearch(Allocation):
    """The heads and neurons of the largest summed score within a budget of multiplications.

    Both are sorted over all layers; for every number of heads the budget that is left says how many neurons fit. The
    best unit of every layer stays. Scores are added up, so criteria that measure loss are meant: Kwon et al. 2022
    (arXiv 2204.09656).
    """

    kind: Literal["mac-search"] = "mac-search"
    references: ClassVar[tuple[str, ...]] = ("kwon2022mask",)

    def keep(self, sites: Sequence[Site], scores: Sequence[np.ndarray], ratio: float) -> list[np.ndarray]:
        costs = [np.full(site.units, float(site.macs)) for site in sites]
        budget = (1 - ratio) * sum(float(cost.sum()) for cost in costs)
        return best_within(sites, by_unit(sites, scores, ratio), costs, budget, "multiplications")
