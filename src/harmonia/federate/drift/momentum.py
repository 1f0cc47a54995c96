"""FedCM: every local step goes partly where the last round went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from harmonia.federate.drift.base import Correction, Drift
from harmonia.federate.needs import Item, Needs
from harmonia.federate.server_rule import ServerRule
from harmonia.federate.stack import Stack

if TYPE_CHECKING:
    from torch import Tensor


class Momentum(Drift):
    """Every local step goes partly in the direction of the last global update.

    alpha g + (1 - alpha) m, with m = -(last global update) / (K eta), K the mean number of local steps; m = 0 in the
    first round. FedCM: Xu et al. 2021 (arXiv 2106.10874); with perturb=sam MoFedSAM: Qu et al. 2022 (arXiv 2206.02618).
    """

    kind: Literal["momentum"] = "momentum"
    main: ClassVar[str] = "alpha"
    references: ClassVar[tuple[str, ...]] = ("xu2021fedcm", "qu2022fedsam")
    needs: ClassVar[Needs] = Needs(
        down=(Item("momentum", "P", "m, minus the last global update per local step and learning rate"),),
        server=(Item("momentum", "P", "m, minus the last global update per local step and learning rate"),),
    )

    alpha: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the client's own gradient; 1 is FedAvg."""

    def begin(self, stack: Stack) -> Carried:
        return Carried(stack, self.alpha)

    def server(self, clients: int) -> ServerRule:
        return LastUpdate()


class Carried(Correction):
    """alpha g + (1 - alpha) m on the shared coordinates."""

    def __init__(self, stack: Stack, alpha: float) -> None:
        self.stack, self.alpha, self.momentum = stack, alpha, stack.sent["momentum"]

    def add(self, gradient: Tensor, at: Tensor) -> Tensor:
        change = (1 - self.alpha) * (self.momentum - gradient[:, self.stack.shared])
        return gradient + self.stack.spread(change)


class LastUpdate(ServerRule):
    """The last global update, as a gradient."""

    def down(self, model: Tensor) -> dict[str, Tensor]:
        return {"momentum": self.state["momentum"] if self.state else model.new_zeros(model.shape)}

    def end_round(self, before: Tensor, after: Tensor, steps: float, rate: float) -> None:
        self.state["momentum"] = (before - after) / (steps * rate)
