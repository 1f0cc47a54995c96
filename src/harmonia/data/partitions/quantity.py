"""Quantity: clients differ in how much they hold, not in what."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.data.partitions.base import Columns, Partition
from harmonia.data.partitions.cut import check_room, cut_counts, drawn_until


class Quantity(Partition):
    """Shuffled examples are cut by Dirichlet shares: sizes differ, label laws do not.

    q ~ Dir(beta 1_K), drawn again until the smallest client has ``min_size`` examples. Li et al. 2022 (NIID-Bench,
    arXiv 2102.02079).
    """

    kind: Literal["quantity"] = "quantity"
    main: ClassVar[str] = "beta"
    references: ClassVar[tuple[str, ...]] = ("li2022niidbench",)

    beta: Annotated[float, Field(gt=0)] = 0.5
    """Concentration; the smaller, the more sizes differ."""
    min_size: Annotated[int, Field(ge=1)] = 10
    """Examples that the smallest client has at least."""

    def deal(self, labels: np.ndarray, columns: Columns, clients: int, random: np.random.Generator) -> list[np.ndarray]:
        what = f"partition=quantity:{self.beta:g}"
        check_room(clients, self.min_size, len(labels), what)
        law = np.full(clients, self.beta)
        counts = drawn_until(lambda: cut_counts(random.dirichlet(law), len(labels)), self.min_size, what)
        return np.split(random.permutation(len(labels)), np.cumsum(counts)[:-1])
