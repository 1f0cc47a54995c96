"""The best heads and neurons of a whole model under a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harmonia.compress.allocation.base import ROUNDING, best_first
from harmonia.compress.site import Site
from harmonia.core.errors import InputError
from harmonia.maths.two_kinds import best_pair


@dataclass(frozen=True)
class _Pool:
    """All units of one kind, in the order in which they are taken: site, unit, score and cost of each, (n,)."""

    sites: np.ndarray
    units: np.ndarray
    scores: np.ndarray
    costs: np.ndarray
    least: int

    @classmethod
    def of(cls, sites: Sequence[Site], scores: Sequence[np.ndarray], costs: Sequence[np.ndarray], kind: str) -> _Pool:
        members = [number for number, site in enumerate(sites) if site.kind == kind]
        if not members:
            nothing = np.empty(0)
            return cls(nothing, nothing, nothing, nothing, 0)
        ranks = [best_first(scores[number]) for number in members]
        owner = np.repeat(members, [len(rank) for rank in ranks])
        score = np.concatenate([scores[number][rank] for number, rank in zip(members, ranks, strict=True)])
        cost = np.concatenate([costs[number] for number in members])
        # a layer's best unit, and what costs nothing, ahead of all others
        ahead = np.concatenate([np.arange(len(rank)) == 0 for rank in ranks]) | (cost == 0)
        order = np.lexsort((-score, ~ahead))
        return cls(owner[order], np.concatenate(ranks)[order], score[order], cost[order], int(ahead.sum()))


def best_within(
    sites: Sequence[Site], scores: Sequence[np.ndarray], costs: Sequence[np.ndarray], budget: float, what: str
) -> list[np.ndarray]:
    """Return the units of each site whose summed score is largest, when each kind is taken by falling score.

    The best unit of every site, and units that cost nothing, are taken first.

    Args:
        sites: the consumers.
        scores: (units,) of each.
        costs: (units,) of each: of the first unit that it keeps, of the second, and so on.
        budget: of the summed costs.
        what: the budget is, for messages.

    Raises:
        InputError: the budget is below one unit per site.
    """
    heads, neurons = (_Pool.of(sites, scores, costs, kind) for kind in ("heads", "neurons"))
    pair = best_pair(
        (heads.scores, neurons.scores),
        (heads.costs, neurons.costs),
        (heads.least, neurons.least),
        budget + ROUNDING * sum(float(cost.sum()) for cost in costs),
    )
    if pair is None:
        raise InputError(f"this ratio leaves less {what} than one unit of each of {len(sites)} layers; lower it")
    owner = np.concatenate([heads.sites[: pair[0]], neurons.sites[: pair[1]]])
    units = np.concatenate([heads.units[: pair[0]], neurons.units[: pair[1]]]).astype(np.int64)
    return [np.sort(units[owner == number]) for number in range(len(sites))]
