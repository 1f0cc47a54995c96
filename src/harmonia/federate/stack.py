"""Several clients trained side by side: what the rules of local training see.

Every tensor has a leading axis of the m clients, m = 1 in the plain loop; so a rule is written once and serves one
client, a batch of clients in one pass, and Flower alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Gradient = Callable[["Tensor"], "Tensor"]
"""Vectors (m, P) -> gradient of each client's loss on its present batch, at these vectors: (m, P)."""


@dataclass(frozen=True)
class Stack:
    """What m clients hold when their local training begins.

    Attributes:
        clients: their numbers.
        received: (m, P) the model as it came, with a private head put in its place.
        sent: what else came down, by name: (m, ...); vectors of weights are over the shared coordinates, (m, S).
        kept: what each client kept from its last participation, by name: (m, ...), weights over the shared coordinates;
            zeros for one that never took part.
        first: (m,) bool, whether a client takes part for the first time.
        counts: (m, C) float, examples per class of each client.
        steps: (m,) int64, local steps of this round.
        rate: learning rate of this round.
        round: number of the round, from 1.
        shared: coordinates of the vector that are averaged; the others stay with the client.
    """

    clients: tuple[int, ...]
    received: Tensor
    sent: dict[str, Tensor]
    kept: dict[str, Tensor]
    first: Tensor
    counts: Tensor
    steps: Tensor
    rate: float
    round: int
    shared: slice

    def spread(self, values: Tensor) -> Tensor:
        """Return shared coordinates as whole vectors, zero where a head is private: (m, S) -> (m, P)."""
        import torch

        if values.shape[1] == self.received.shape[1]:
            return values
        return torch.nn.functional.pad(values, (0, self.received.shape[1] - values.shape[1]))
