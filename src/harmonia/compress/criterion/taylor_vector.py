"""First-order Taylor, row by row."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from harmonia.compress.criterion.base import Criterion
from harmonia.compress.criterion.slices import from_slices
from harmonia.compress.site import Seen, Site


class TaylorVector(Criterion):
    """What the loss would change to first order if a unit's weights went together.

    Sum over the unit's rows, and columns of the consumer, of |sum of w g|: (units,).
    LLM-Pruner: Ma et al. 2023 (arXiv 2305.11627).
    """

    kind: Literal["taylor-vector"] = "taylor-vector"
    references: ClassVar[tuple[str, ...]] = ("ma2023llmpruner",)
    reads: ClassVar[tuple[str, ...]] = ("slices",)

    def score(self, site: Site, seen: Seen | None, seed: int) -> np.ndarray:
        return from_slices(site, seen, self.kind, "vector")
