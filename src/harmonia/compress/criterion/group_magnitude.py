"""Group magnitude: all weights that a unit would take away with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import numpy as np

from harmonia.compress.criterion.base import Criterion, checked
from harmonia.compress.site import Seen, Site
from harmonia.core.errors import InputError

AGGREGATES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sum": lambda norms: norms.sum(axis=0),
    "mean": lambda norms: norms.mean(axis=0),
    "max": lambda norms: norms.max(axis=0),
    "prod": lambda norms: norms.prod(axis=0),
    "first": lambda norms: norms[0],
}
"""From the norms in each tensor, (tensors, units), to one number per unit."""


class GroupMagnitude(Criterion):
    """Norm of all weights that go with a unit, in the layers that make it and the one that reads it; no data.

    Norm of the unit's slice in every tensor of its group, then one number from these: (units,). Fang et al. 2023 (arXiv
    2301.12900), Ma et al. 2023 (arXiv 2305.11627).
    """

    kind: Literal["group-magnitude"] = "group-magnitude"
    references: ClassVar[tuple[str, ...]] = ("fang2023depgraph", "ma2023llmpruner")
    main: ClassVar[str] = "norm"
    reads: ClassVar[tuple[str, ...]] = ("norms",)

    norm: Literal["l1", "l2"] = "l2"
    """Norm of a slice."""
    aggregate: Literal["sum", "mean", "max", "prod", "first"] = "sum"
    """How the norms in several tensors become one; first takes that of the first layer that makes the unit."""

    def score(self, site: Site, seen: Seen | None, seed: int) -> np.ndarray:
        slices = {} if seen is None else seen.slices
        norms = [values for name, values in slices.items() if name.startswith(f"{self.norm}:")]
        if not norms:
            raise InputError(f"criterion {self.kind} needs the norms of all weights of the units of {site.name}")
        return checked(site, AGGREGATES[self.aggregate](np.stack(norms).astype(np.float64)))
