"""KCM: neurons that stand for others, and that fire."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.compress.criterion.base import Criterion, checked, moments_at
from harmonia.compress.site import Seen, Site
from harmonia.maths.gumbel import standardise
from harmonia.maths.kcm import kernel, representatives


class Kcm(Criterion):
    """How well a unit's output weights stand for those of others, times its mean activation.

    R2_j D2_j of each column, the mean over an attention head: (units,). R2 is kernelised convex masking on the columns
    of the consumer, D2 the mean over tokens, normalised within the layer. R2D2: Nova et al. 2023 (arXiv 2303.04185),
    which does not tell the width of the kernel, the tolerance and the rank.
    """

    kind: Literal["kcm"] = "kcm"
    references: ClassVar[tuple[str, ...]] = ("nova2023gradientfree",)
    main: ClassVar[str] = "normalise"
    reads: ClassVar[tuple[str, ...]] = ("moments",)

    normalise: Literal["max-min", "z-score", "log", "l2"] = "max-min"
    """Of the mean activations: to 0..1, to mean 0 and deviation 1, sign times log of 1 + size, or to length 1."""
    width: float | None = Field(None, gt=0)
    """sigma^2 of the kernel; None takes the median squared distance of the columns."""
    tolerance: float = Field(1e-3, gt=0)
    """Stop when the sum of all entries changes by less than this share."""
    steps: int = Field(50, ge=1)
    """Stop after so many, each a product of (d, d) matrices."""
    exact_up_to: int = Field(1500, ge=1)
    """Above this many columns that product is of rank ``rank``."""
    rank: int = Field(256, ge=1)
    """Rank of the kernel there."""

    def score(self, site: Site, seen: Seen | None, seed: int) -> np.ndarray:
        means, rows = moments_at(site, seen, self.kind).mean, site.matrix.T
        rank = None if len(rows) <= self.exact_up_to else self.rank
        R2 = representatives(kernel(rows, self.width), self.tolerance, self.steps, rank)
        return checked(site, (R2 * self._normalised(means)).reshape(site.units, site.run).mean(axis=1))

    def _normalised(self, means: np.ndarray) -> np.ndarray:
        if self.normalise == "max-min":
            spread = float(np.ptp(means))
            return (means - means.min()) / spread if spread else np.ones_like(means)
        if self.normalise == "z-score":
            return standardise(means)
        if self.normalise == "log":
            return np.sign(means) * np.log1p(np.abs(means))
        return means / (float(np.linalg.norm(means)) or 1.0)
