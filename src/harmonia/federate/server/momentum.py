"""FedAvgM: the server steps with momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.federate.needs import Item, Needs
from harmonia.federate.server.base import Server, ServerStep

if TYPE_CHECKING:
    from torch import Tensor


class ServerMomentum(Server):
    """The server steps along the average change with momentum: m <- beta m + (w - average), w <- w - eta_g m.

    FedAvgM: Hsu, Qi & Brown 2019 (arXiv 1909.06335).
    """

    kind: Literal["momentum"] = "momentum"
    references: ClassVar[tuple[str, ...]] = ("hsu2019fedavgm",)
    main: ClassVar[str] = "beta"
    needs: ClassVar[Needs] = Needs(server=(Item("m", "P", "momentum of the server"),))

    beta: float = Field(0.9, ge=0, lt=1)
    """Share of the momentum that is kept; 0 is a plain step."""
    eta_g: float = Field(1.0, gt=0)
    """Global learning rate."""

    def start(self) -> MomentumStep:
        return MomentumStep(self.beta, self.eta_g)


class MomentumStep(ServerStep):
    """Steps with momentum."""

    def __init__(self, beta: float = 0.9, eta_g: float = 1.0) -> None:
        self.state = {}
        self.beta, self.eta_g = beta, eta_g

    def step(self, model: Tensor, average: Tensor, active: int, clients: int) -> Tensor:
        pull = model - average
        self.state["m"] = self.beta * self.state["m"] + pull if self.state else pull
        return model - self.eta_g * self.state["m"]
