"""Magnitude: how much the next layer would take from a unit."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from harmonia.compress.criterion.base import Criterion, checked
from harmonia.compress.site import Seen, Site


class Magnitude(Criterion):
    """Norm of the weights that read a unit; no data.

    ||W_:j|| of the consumer, (units,); of an attention head the sum over its columns. As magnitude-sp in FLAP: An et
    al. 2023 (arXiv 2312.11983).
    """

    kind: Literal["magnitude"] = "magnitude"
    references: ClassVar[tuple[str, ...]] = ("an2023flap",)
    main: ClassVar[str] = "norm"

    norm: Literal["l1", "l2"] = "l2"
    """Norm of a column."""

    def score(self, site: Site, seen: Seen | None, seed: int) -> np.ndarray:
        columns = np.linalg.norm(site.matrix, ord=1 if self.norm == "l1" else 2, axis=0)
        return checked(site, columns.reshape(site.units, site.run).sum(axis=1))
