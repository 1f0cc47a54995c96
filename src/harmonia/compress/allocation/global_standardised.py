"""Global by standardised scores: layers that matter less lose more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from harmonia.compress.allocation.base import ROUNDING, Allocation, best_first, by_unit
from harmonia.compress.site import Site
from harmonia.core.errors import InputError
from harmonia.maths.gumbel import standardise


class GlobalStandardised(Allocation):
    """All units of all layers compete by scores that are standardised within each layer; the budget is parameters.

    z-scores over the units of a layer, or over its columns with the mean over each unit where columns are scored; then
    from the largest on until what is kept holds (1 - ratio) of the parameters of all units. The best unit of every
    layer stays. FLAP: An et al. 2023 (arXiv 2312.11983).
    """

    kind: Literal["global-standardised"] = "global-standardised"
    references: ClassVar[tuple[str, ...]] = ("an2023flap",)

    def keep(self, sites: Sequence[Site], scores: Sequence[np.ndarray], ratio: float) -> list[np.ndarray]:
        standard = []
        for score in by_unit(sites, scores, ratio, columns=True):
            size = float(np.abs(score).max())  # what counts as equal scores depends on their size alone
            z = standardise(score / (size or 1.0))
            standard.append(z if z.ndim == 1 else z.mean(axis=1))
        costs = np.concatenate([np.full(site.units, float(site.parameters)) for site in sites])
        # the best of every layer ahead of all others
        pooled = np.concatenate([np.where(np.arange(len(z)) == best_first(z)[0], np.inf, z) for z in standard])
        wanted = (1 - ratio) * costs.sum()
        if costs[np.isinf(pooled)].sum() > wanted * (1 + ROUNDING):
            raise InputError(
                f"a ratio of {ratio} leaves fewer parameters than one unit of each of {len(sites)} layers; lower it"
            )
        order = best_first(pooled)
        held = np.cumsum(costs[order])
        kept = np.zeros(len(pooled), bool)
        kept[order[: int(np.searchsorted(held, wanted * (1 - ROUNDING))) + 1]] = True
        edges = np.cumsum([site.units for site in sites])[:-1]
        return [np.flatnonzero(part) for part in np.split(kept, edges)]
