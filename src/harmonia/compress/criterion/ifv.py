"""Input feature variance."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from harmonia.compress.criterion.base import Criterion, checked, moments_at
from harmonia.compress.site import Seen, Site


class Ifv(Criterion):
    """How much a unit's activation varies over tokens: what does not vary, a bias replaces.

    The unbiased variance of each column, (units, run). FLAP: An et al. 2023 (arXiv 2312.11983).
    """

    kind: Literal["ifv"] = "ifv"
    references: ClassVar[tuple[str, ...]] = ("an2023flap",)
    reads: ClassVar[tuple[str, ...]] = ("moments",)

    def score(self, site: Site, seen: Seen | None, seed: int) -> np.ndarray:
        moments = moments_at(site, seen, self.kind)
        return checked(site, (moments.variance).reshape(site.units, site.run))
