"""FedProx: a pull back to the received model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from harmonia.federate.drift.base import Correction, Drift
from harmonia.federate.stack import Stack

if TYPE_CHECKING:
    from torch import Tensor


class Prox(Drift):
    """A client is pulled back to the model that it received.

    g + mu (v - w), the gradient of (mu / 2) ||v - w||^2. Li et al. 2020 (arXiv 1812.06127). In a relay w is the model
    that came from the client before.
    """

    kind: Literal["prox"] = "prox"
    main: ClassVar[str] = "mu"
    references: ClassVar[tuple[str, ...]] = ("li2020fedprox",)

    mu: Annotated[float, Field(ge=0)] = 0.01
    """Strength of the pull; 0 is FedAvg. The authors tune it between 0.001 and 1."""

    def begin(self, stack: Stack) -> Pull:
        return Pull(stack, self.mu)


class Pull(Correction):
    """mu (v - w) on the shared coordinates."""

    def __init__(self, stack: Stack, mu: float) -> None:
        self.stack, self.mu = stack, mu

    def add(self, gradient: Tensor, at: Tensor) -> Tensor:
        moved = (at - self.stack.received)[:, self.stack.shared]
        return gradient + self.stack.spread(self.mu * moved)
