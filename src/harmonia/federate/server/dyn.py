"""The server's step of FedDyn."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.federate.needs import Item, Needs
from harmonia.federate.server.base import Server, ServerStep

if TYPE_CHECKING:
    from torch import Tensor


class DynServer(Server):
    """The average less h / alpha: h <- h - alpha (m / M) (average - w), w <- average - h / alpha.

    m of M clients took part, and count alike. It belongs to ``drift=dyn``. FedDyn: Acar et al. 2021 (arXiv 2111.04263).
    """

    kind: Literal["dyn"] = "dyn"
    references: ClassVar[tuple[str, ...]] = ("acar2021feddyn",)
    main: ClassVar[str] = "alpha"
    needs: ClassVar[Needs] = Needs(server=(Item("h", "P", "mean of the clients' linear terms"),))

    alpha: float = Field(0.1, gt=0)
    """Of the proximal term; the same as ``drift.alpha``."""

    def start(self) -> DynStep:
        return DynStep(self.alpha)


class DynStep(ServerStep):
    """Steps to the average, less the mean linear term over alpha."""

    def __init__(self, alpha: float) -> None:
        self.state = {}
        self.alpha = alpha

    def step(self, model: Tensor, average: Tensor, active: int, clients: int) -> Tensor:
        import torch

        h = self.state.get("h", torch.zeros_like(model))
        self.state["h"] = h - self.alpha * (active / clients) * (average - model)
        return average - self.state["h"] / self.alpha
