"""What FedAdam, FedYogi and FedAdagrad share: a step whose length each coordinate has of its own.

With Delta = average - w, m <- beta1 m + (1 - beta1) Delta, v as the rule has it from v_0 = tau^2, and
w <- w + eta_g m / (sqrt(v) + tau). Reddi et al. 2021 (arXiv 2003.00295).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from harmonia.federate.needs import Item, Needs
from harmonia.federate.server.base import ServerStep

if TYPE_CHECKING:
    from torch import Tensor

MOMENTS = Needs(server=(Item("m", "P", "mean change of the model"), Item("v", "P", "mean square of it")))

Second = Callable[["Tensor", "Tensor"], "Tensor"]
"""v and Delta^2 -> the next v."""


class AdaptiveStep(ServerStep):
    """Steps by the first moment over the root of the second.

    Args:
        second: how v goes on.
        eta_g: global learning rate.
        beta1: share of the first moment that is kept.
        tau: added to the root.
    """

    def __init__(self, second: Second, eta_g: float, beta1: float, tau: float) -> None:
        self.state = {}
        self.second, self.eta_g, self.beta1, self.tau = second, eta_g, beta1, tau

    def step(self, model: Tensor, average: Tensor, active: int, clients: int) -> Tensor:
        import torch

        change = average - model
        m = self.state.get("m", torch.zeros_like(change))
        v = self.state.get("v", torch.full_like(change, self.tau**2))
        self.state["m"] = self.beta1 * m + (1 - self.beta1) * change
        self.state["v"] = self.second(v, change.square())
        return model + self.eta_g * self.state["m"] / (self.state["v"].sqrt() + self.tau)
