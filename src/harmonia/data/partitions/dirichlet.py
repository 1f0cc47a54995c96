"""Dirichlet: every class is shared out unevenly."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.data.partitions.base import Columns, Partition
from harmonia.data.partitions.cut import check_room, cut_counts, drawn_until


class Dirichlet(Partition):
    """Each class is shared out among all clients by Dirichlet shares: skew of labels and of sizes in one number.

    q_c ~ Dir(beta 1_K) for every class c. Small beta: each class lies with few clients; 1e5 stands for IID. Balanced,
    as the codes of the MOON lineage have it: shares of clients that hold n / K examples already are zeroed and the
    others scaled up, class by class. Everything is drawn again until the smallest client has ``min_size`` examples.
    Yurochkin et al. 2019 (arXiv 1905.12022); Li et al. 2021 (MOON, arXiv 2103.16257).
    """

    kind: Literal["dirichlet"] = "dirichlet"
    main: ClassVar[str] = "beta"
    references: ClassVar[tuple[str, ...]] = ("yurochkin2019bayesian", "li2021moon")

    beta: Annotated[float, Field(gt=0)] = 0.5
    """Concentration."""
    min_size: Annotated[int, Field(ge=1)] = 10
    """Examples that the smallest client has at least."""
    balanced: bool = True
    """Whether a client that holds its n / K examples gets none of the classes that follow."""

    def deal(self, labels: np.ndarray, columns: Columns, clients: int, random: np.random.Generator) -> list[np.ndarray]:
        what = f"partition=dirichlet:{self.beta:g}"
        check_room(clients, self.min_size, len(labels), what)
        held = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        totals = [len(rows) for rows in held]
        counts = drawn_until(lambda: self._counts(totals, clients, random), self.min_size, what)
        parts = [
            np.split(random.permutation(rows), np.cumsum(own)[:-1]) for rows, own in zip(held, counts.T, strict=True)
        ]
        return [np.concatenate(own) for own in zip(*parts, strict=True)]

    def _counts(self, totals: list[int], clients: int, random: np.random.Generator) -> np.ndarray | None:
        """Return one draw of examples per client and class: (K, C); None where no share is left for a class."""
        counts = np.zeros((clients, len(totals)), np.int64)
        sizes = np.zeros(clients, np.int64)
        for place, total in enumerate(totals):
            shares = random.dirichlet(np.full(clients, self.beta))
            if self.balanced:
                shares = shares * (sizes * clients < sum(totals))
            whole = shares.sum()
            if not whole > 0:  # with a small beta all of a draw may lie with clients that are full
                return None
            counts[:, place] = cut_counts(shares / whole, total)
            sizes += counts[:, place]
        return counts
