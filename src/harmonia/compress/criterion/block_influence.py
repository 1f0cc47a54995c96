"""Block influence: how much a whole layer turns what passes through it."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from harmonia.compress.criterion.base import Criterion
from harmonia.compress.site import Seen, Site
from harmonia.core.errors import InputError


class BlockInfluence(Criterion):
    """How much a whole layer turns the direction of its input; for whole layers only.

    BI_l = 1 - mean over tokens of cos(h_l, h_(l+1)), which structure ``depth`` measures. ShortGPT: Men et al. 2024
    (arXiv 2403.03853).
    """

    kind: Literal["block-influence"] = "block-influence"
    references: ClassVar[tuple[str, ...]] = ("men2024shortgpt",)

    def score(self, site: Site, seen: Seen | None, seed: int) -> np.ndarray:
        raise InputError(
            f"criterion {self.kind} scores whole layers, and {site.name} has {site.kind}; take structure=depth"
        )
