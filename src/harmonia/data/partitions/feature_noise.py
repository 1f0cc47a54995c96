"""Feature noise: clients differ in how well they see."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.data.partitions.base import Columns, Partition


class FeatureNoise(Partition):
    """Equal shuffled parts, with Gaussian noise in the inputs that grows from client to client.

    Client i = 1 .. K sees x + e with e ~ N(0, sigma i / K), a variance, in units where inputs run from 0 to 1. Whoever
    reads the inputs adds the noise. Li et al. 2022 (NIID-Bench, arXiv
    2102.02079).
    """

    kind: Literal["feature-noise"] = "feature-noise"
    main: ClassVar[str] = "sigma"
    references: ClassVar[tuple[str, ...]] = ("li2022niidbench",)

    sigma: Annotated[float, Field(ge=0)] = 0.1
    """Variance of the noise of the last client."""

    def deal(self, labels: np.ndarray, columns: Columns, clients: int, random: np.random.Generator) -> list[np.ndarray]:
        return np.array_split(random.permutation(len(labels)), clients)

    def noise(self, clients: int) -> np.ndarray:
        return np.sqrt(self.sigma * np.arange(1, clients + 1) / clients)
