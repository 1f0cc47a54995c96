"""Fisher: how the loss reacts to a mask on each unit."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.compress.criterion.base import Criterion, checked
from harmonia.compress.site import Seen, Site
from harmonia.core.errors import InputError


class Fisher(Criterion):
    """Squared gradients of the loss by a mask on each unit, summed over examples.

    sum_b (dL_b / dm_j)^2 at m = 1: (units,), from the gradients (B, units) of every example. Kwon et al. 2022 (arXiv
    2204.09656).
    """

    kind: Literal["fisher"] = "fisher"
    references: ClassVar[tuple[str, ...]] = ("kwon2022mask",)
    main: ClassVar[str] = "batch"
    reads: ClassVar[tuple[str, ...]] = ("gradients",)

    batch: int = Field(1, ge=1)
    """Examples whose mean loss is one L_b. The published code takes 32, so gradients of different sign cancel before
    they are squared."""

    def score(self, site: Site, seen: Seen | None, seed: int) -> np.ndarray:
        if seen is None or seen.gradients is None:
            raise InputError(
                f"criterion {self.kind} needs gradients of a loss by the units of {site.name}; give a calibration with "
                "labels, or take a criterion that reads none, such as wifv"
            )
        gradients = np.asarray(seen.gradients, np.float64)
        if gradients.shape[1:] != (site.units,) or not len(gradients):
            raise InputError(f"{site.name}: gradients of shape {gradients.shape}, and it has {site.units} units")
        starts = np.arange(0, len(gradients), self.batch)
        means = np.add.reduceat(gradients, starts) / np.diff(np.append(starts, len(gradients)))[:, None]
        return checked(site, (means**2).sum(axis=0))
