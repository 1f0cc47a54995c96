"""First-order Taylor, weight by weight."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from harmonia.compress.criterion.base import Criterion
from harmonia.compress.criterion.slices import from_slices
from harmonia.compress.site import Seen, Site


class TaylorElement(Criterion):
    """What the loss would change to first order if each weight of a unit went alone.

    Sum of |w g| over the slices of the unit, g the gradient of the mean loss: (units,).
    LLM-Pruner: Ma et al. 2023 (arXiv 2305.11627).
    """

    kind: Literal["taylor-element1"] = "taylor-element1"
    references: ClassVar[tuple[str, ...]] = ("ma2023llmpruner",)
    reads: ClassVar[tuple[str, ...]] = ("slices",)

    def score(self, site: Site, seen: Seen | None, seed: int) -> np.ndarray:
        return from_slices(site, seen, self.kind, "element1")
