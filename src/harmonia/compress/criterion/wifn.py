"""Weighted input feature norm."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from harmonia.compress.criterion.base import Criterion, checked, moments_at
from harmonia.compress.site import Seen, Site


class Wifn(Criterion):
    """Mean size of the weights that read a unit, times the root mean square of its activation.

    mean_i |W_ij| sqrt(mean_t x_tj^2) of each column, (units, run). FLAP: An et al. 2023 (arXiv 2312.11983).
    """

    kind: Literal["wifn"] = "wifn"
    references: ClassVar[tuple[str, ...]] = ("an2023flap",)
    reads: ClassVar[tuple[str, ...]] = ("moments",)

    def score(self, site: Site, seen: Seen | None, seed: int) -> np.ndarray:
        moments = moments_at(site, seen, self.kind)
        return checked(
            site,
            (np.abs(site.matrix).mean(axis=0) * np.sqrt(np.diag(moments.gram) / moments.count)).reshape(
                site.units, site.run
            ),
        )
