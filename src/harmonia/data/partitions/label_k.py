"""Label-k: k classes per client, the first in turn."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.data.partitions.base import Columns, Partition
from harmonia.data.partitions.holders import add_classes, among_holders


class LabelK(Partition):
    """Client i holds class i mod C and k - 1 others at random; each class is cut into equal parts among its holders.

    ``#C = k`` of NIID-Bench: Li et al. 2022 (arXiv 2102.02079). With fewer clients than classes some class could have
    no holder; ``pcdd`` serves that case.
    """

    kind: Literal["label-k"] = "label-k"
    main: ClassVar[str] = "k"
    references: ClassVar[tuple[str, ...]] = ("li2022niidbench",)

    k: Annotated[int, Field(ge=1)] = 2
    """Classes of a client."""

    def deal(self, labels: np.ndarray, columns: Columns, clients: int, random: np.random.Generator) -> list[np.ndarray]:
        known = np.unique(labels)
        what = f"partition=label-k:{self.k}"
        if self.k > len(known):
            raise InputError(f"{what}: a client cannot hold {self.k} classes of {len(known)}; take fewer")
        if clients < len(known):
            raise InputError(
                f"{what}: the first classes of {clients} clients do not cover {len(known)} classes; "
                f"take {len(known)} clients, or partition=pcdd:{self.k}"
            )
        held = np.zeros((clients, len(known)), bool)
        held[np.arange(clients), np.arange(clients) % len(known)] = True
        add_classes(held, self.k, random)
        return among_holders(labels, known, held, random, what)
