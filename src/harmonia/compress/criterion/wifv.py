"""Weighted input feature variance."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from harmonia.compress.criterion.base import Criterion, checked, moments_at
from harmonia.compress.site import Seen, Site


class Wifv(Criterion):
    """How much what is read of a unit varies over tokens: the error that removing it alone leaves beside a bias.

    var_j ||W_:j||^2 of each column, N - 1 times less than that error, (units, run).
    FLAP: An et al. 2023 (arXiv 2312.11983).
    """

    kind: Literal["wifv"] = "wifv"
    references: ClassVar[tuple[str, ...]] = ("an2023flap",)
    reads: ClassVar[tuple[str, ...]] = ("moments",)

    def score(self, site: Site, seen: Seen | None, seed: int) -> np.ndarray:
        moments = moments_at(site, seen, self.kind)
        return checked(site, (moments.variance * (site.matrix**2).sum(axis=0)).reshape(site.units, site.run))
