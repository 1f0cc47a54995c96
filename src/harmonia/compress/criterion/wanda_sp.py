"""Wanda-sp: weights times the size of what they read, by unit."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from harmonia.compress.criterion.base import Criterion, checked, moments_at
from harmonia.compress.site import Seen, Site


class WandaSp(Criterion):
    """Mean size of the weights that read a unit, times the norm of its activations.

    mean_i |W_ij| sqrt(sum_t x_tj^2 / sequences); of an attention head the sum over its columns: (units,). Wanda: Sun
    et al. 2023 (arXiv 2306.11695); by unit: An et al. 2023 (arXiv 2312.11983).
    """

    kind: Literal["wanda-sp"] = "wanda-sp"
    references: ClassVar[tuple[str, ...]] = ("sun2023wanda", "an2023flap")
    reads: ClassVar[tuple[str, ...]] = ("moments",)

    def score(self, site: Site, seen: Seen | None, seed: int) -> np.ndarray:
        moments = moments_at(site, seen, self.kind)
        columns = np.abs(site.matrix).mean(axis=0) * np.sqrt(np.diag(moments.gram) / moments.sequences)
        return checked(site, columns.reshape(site.units, site.run).sum(axis=1))
