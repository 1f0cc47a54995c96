"""The average itself, or a shorter or longer step towards it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.federate.server.base import Server, ServerStep

if TYPE_CHECKING:
    from torch import Tensor


class SGD(Server):
    """A step towards the average: w + eta_g (average - w); with eta_g = 1 the average itself."""

    kind: Literal["sgd"] = "sgd"
    references: ClassVar[tuple[str, ...]] = ("mcmahan2017fedavg",)
    main: ClassVar[str] = "eta_g"

    eta_g: float = Field(1.0, gt=0)
    """Global learning rate."""

    def start(self) -> SGDStep:
        return SGDStep(self.eta_g)


class SGDStep(ServerStep):
    """Steps towards the average."""

    def __init__(self, eta_g: float = 1.0) -> None:
        self.state = {}
        self.eta_g = eta_g

    def step(self, model: Tensor, average: Tensor, active: int, clients: int) -> Tensor:
        return average if self.eta_g == 1 else model + self.eta_g * (average - model)
