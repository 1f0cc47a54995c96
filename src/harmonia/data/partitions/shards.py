"""Shards: sorted by label, cut, and dealt out."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.data.partitions.base import Columns, Partition


class Shards(Partition):
    """Examples sorted by label are cut into K s equal shards, and each client gets s of them at random.

    McMahan et al. 2017 (arXiv 1602.05629), who take s = 2.
    """

    kind: Literal["shards"] = "shards"
    main: ClassVar[str] = "shards"
    references: ClassVar[tuple[str, ...]] = ("mcmahan2017fedavg",)

    shards: Annotated[int, Field(ge=1)] = 2
    """s, shards of a client."""

    def deal(self, labels: np.ndarray, columns: Columns, clients: int, random: np.random.Generator) -> list[np.ndarray]:
        number = clients * self.shards
        if number > len(labels):
            raise InputError(f"partition=shards:{self.shards}: {number} shards of {len(labels)} examples; take fewer")
        mixed = random.permutation(len(labels))
        pieces = np.array_split(mixed[np.argsort(labels[mixed], kind="stable")], number)
        dealt = random.permutation(number).reshape(clients, self.shards)
        return [np.concatenate([pieces[place] for place in own]) for own in dealt]
