"""Uniform: every layer loses the same share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from harmonia.compress.allocation.base import ROUNDING, Allocation, best_first, by_unit
from harmonia.compress.site import Site


class Uniform(Allocation):
    """Every layer loses the same share of its units.

    floor(ratio * units), those of the lowest scores.
    """

    kind: Literal["uniform"] = "uniform"

    def keep(self, sites: Sequence[Site], scores: Sequence[np.ndarray], ratio: float) -> list[np.ndarray]:
        return [
            np.sort(best_first(score)[: site.units - int(ratio * site.units + ROUNDING)])
            for site, score in zip(sites, by_unit(sites, scores, ratio), strict=True)
        ]
