"""The axis ``allocation``: how many units each site keeps under a budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harmonia.compress.site import Seen, Site
from harmonia.core.errors import InputError
from harmonia.core.part import Part

ROUNDING = 1e-9
"""Slack of budgets: 0.29 * 100 is below 29 in floating point."""


class Allocation(Part):
    """Turns scores into the units that stay."""

    def keep(self, sites: Sequence[Site], scores: Sequence[np.ndarray], ratio: float) -> list[np.ndarray]:
        """Return the units that each site keeps, ascending: one (s,) int64 per site, at least one unit each.

        Equal scores are kept in the order of the units: the lower number wins. A site's units at a larger ratio are
        among those at a smaller one wherever all costs are equal within a kind.

        Args:
            sites: the consumers.
            scores: (units,) of each, or (units, run), one per column.
            ratio: share of what the units cost (parameters, or multiplications, as the part says) that is removed.

        Raises:
            InputError: a ratio outside [0, 1), or a budget below one unit per site.
        """
        raise NotImplementedError

    def refine(self, site: Site, seen: Seen | None, kept: np.ndarray) -> np.ndarray:
        """Return as many units of a site, chosen once more from what was seen there; by default the same.

        Args:
            site: the consumer.
            seen: what calibration saw.
            kept: (s,) units.
        """
        return kept


def by_unit(
    sites: Sequence[Site], scores: Sequence[np.ndarray], ratio: float, *, columns: bool = False
) -> list[np.ndarray]:
    """Return (units,) scores of each site; with ``columns`` as they are, one per column where these are told apart.

    Raises:
        InputError: a ratio outside [0, 1), or scores that are not finite or not those of the sites.
    """
    if not 0 <= ratio < 1:
        raise InputError(f"a ratio of {ratio}: the share that is removed is at least 0 and below 1")
    found = []
    for site, score in zip(sites, scores, strict=True):
        if score.shape not in ((site.units,), (site.units, site.run)):
            raise InputError(f"{site.name}: scores of shape {score.shape}, and it has {site.units} units")
        if not np.isfinite(score).all():
            raise InputError(f"{site.name}: scores are not finite")
        found.append(score if columns or score.ndim == 1 else score.mean(axis=1))
    return found


def best_first(score: np.ndarray) -> np.ndarray:
    """Return places by falling score; of equals the lower goes first.

    >>> best_first(np.array([1., 3., 3.])).tolist()
    [1, 2, 0]
    """
    return np.argsort(-score, kind="stable")
