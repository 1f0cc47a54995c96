"""Search under a budget of measured time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from harmonia.compress.allocation.base import Allocation, by_unit
from harmonia.compress.allocation.search import best_within
from harmonia.compress.site import Site
from harmonia.core.errors import InputError
from harmonia.maths.latency_curve import fit_curve


class Latency(BaseModel):
    """Time of a layer with n units: floor up to threshold units, and slope more for every further one."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    floor: float = Field(ge=0)
    """Seconds that a layer takes however small it is."""
    threshold: int = Field(ge=0)
    """Units that fit into the floor."""
    slope: float = Field(ge=0)
    """Seconds of every further unit."""

    @classmethod
    def fit(cls, units: Sequence[int], seconds: Sequence[float]) -> Latency:
        """Return the curve nearest to measured times in squares.

        Raises:
            InputError: fewer than two sizes were measured.
        """
        if len(set(units)) < 2:
            raise InputError("a latency curve needs times of at least two sizes of a layer; measure another")
        floor, threshold, slope = fit_curve(np.asarray(units), np.asarray(seconds, np.float64))
        return cls(floor=floor, threshold=threshold, slope=slope)

    def seconds(self, n: int) -> float:
        """Return the time of a layer with n units.

        >>> Latency(floor=1, threshold=2, slope=0.5).seconds(4)
        2.0
        """
        return self.floor + self.slope * max(0, n - self.threshold)


class LatencySearch(Allocation):
    """The heads and neurons of the largest summed score within a budget of measured time.

    A layer's first units are free up to the threshold of its curve, every further one costs the slope; the floors are
    paid in any case, as every layer keeps a unit. The budget is (1 - ratio) of the layers' time. Curves that are not
    given are measured on the machine of the run, which then depends on it. Kwon et al. 2022 (arXiv 2204.09656).
    """

    kind: Literal["latency-search"] = "latency-search"
    references: ClassVar[tuple[str, ...]] = ("kwon2022mask",)

    heads: Latency | None = None
    """Time of an attention layer by its heads; left out, it is measured."""
    neurons: Latency | None = None
    """Time of a feed-forward layer by its neurons; left out, it is measured."""

    def lacks(self, sites: Sequence[Site]) -> bool:
        """Return whether a curve has to be measured before units can be chosen."""
        return any((self.heads if site.kind == "heads" else self.neurons) is None for site in sites)

    def keep(self, sites: Sequence[Site], scores: Sequence[np.ndarray], ratio: float) -> list[np.ndarray]:
        known = by_unit(sites, scores, ratio)
        costs, whole, floors = [], 0.0, 0.0
        for site in sites:
            curve = self.heads if site.kind == "heads" else self.neurons
            if curve is None:
                raise InputError(
                    f"allocation.{site.kind} is not set, and {site.name} has {site.kind} to cut: a run measures it, a "
                    "plan does not; give floor, threshold and slope"
                )
            costs.append(np.where(np.arange(site.units) < curve.threshold, 0.0, curve.slope))
            whole += curve.seconds(site.units)
            floors += curve.floor
        return best_within(sites, known, costs, (1 - ratio) * whole - floors, "time")
