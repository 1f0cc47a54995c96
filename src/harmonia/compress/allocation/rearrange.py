"""Rearrangement: units that make up for each other go together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from harmonia.compress.allocation.base import Allocation
from harmonia.compress.allocation.global_standardised import GlobalStandardised
from harmonia.compress.allocation.latency_search import LatencySearch
from harmonia.compress.allocation.mac_search import MacSearch
from harmonia.compress.allocation.uniform import Uniform
from harmonia.compress.site import Seen, Site
from harmonia.core.errors import InputError
from harmonia.core.part import one_of
from harmonia.maths.block_fisher import exchanged


class Rearrange(Allocation):
    """As many units per layer as another allocation says, exchanged so that the loss hardly feels them together.

    Within a layer the removed set is changed unit by unit to make |sum_{j removed} g_j|^2 small, g_j the gradients of
    the examples' losses by the unit's mask: the Fisher information of the layer's units as a block, not its diagonal
    alone. Kwon et al. 2022 (arXiv 2204.09656).
    """

    kind: Literal["rearrange"] = "rearrange"
    references: ClassVar[tuple[str, ...]] = ("kwon2022mask",)
    main: ClassVar[str] = "of"

    of: one_of(Uniform, GlobalStandardised, MacSearch, LatencySearch) = MacSearch()  # type: ignore[valid-type]
    """Says how many units each layer keeps."""

    def keep(self, sites: Sequence[Site], scores: Sequence[np.ndarray], ratio: float) -> list[np.ndarray]:
        return self.of.keep(sites, scores, ratio)

    def refine(self, site: Site, seen: Seen | None, kept: np.ndarray) -> np.ndarray:
        if seen is None or seen.gradients is None:
            raise InputError(
                f"allocation {self.kind} needs gradients of a loss by the units of {site.name}; give a "
                "calibration with labels, or take allocation mac-search"
            )
        gone = exchanged(np.asarray(seen.gradients, np.float64), site.units - len(kept))
        return np.setdiff1d(np.arange(site.units), gone)
