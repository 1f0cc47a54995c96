"""IID: clients that do not differ."""

from __future__ import annotations

from typing import Literal

import numpy as np

from harmonia.data.partitions.base import Columns, Partition


class IID(Partition):
    """Examples are shuffled and cut into equal parts: the case without disagreement."""

    kind: Literal["iid"] = "iid"

    def deal(self, labels: np.ndarray, columns: Columns, clients: int, random: np.random.Generator) -> list[np.ndarray]:
        return np.array_split(random.permutation(len(labels)), clients)
