"""First- and second-order Taylor together."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from harmonia.compress.criterion.base import Criterion
from harmonia.compress.criterion.slices import from_slices
from harmonia.compress.site import Seen, Site


class TaylorMix(Criterion):
    """What the loss would change to first and second order if each weight of a unit went alone.

    Sum of |w g - w F w / 2| over the slices of the unit, F the mean over samples of squared gradients: (units,).
    LLM-Pruner: Ma et al. 2023 (arXiv 2305.11627).
    """

    kind: Literal["taylor-mix"] = "taylor-mix"
    references: ClassVar[tuple[str, ...]] = ("ma2023llmpruner",)
    reads: ClassVar[tuple[str, ...]] = ("slices",)

    def score(self, site: Site, seen: Seen | None, seed: int) -> np.ndarray:
        return from_slices(site, seen, self.kind, "mix")
