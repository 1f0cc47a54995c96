"""FedAdam: the server steps as Adam does."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.federate.needs import Needs
from harmonia.federate.server.adaptive import MOMENTS, AdaptiveStep
from harmonia.federate.server.base import Server

if TYPE_CHECKING:
    from torch import Tensor


class Adam(Server):
    """The server steps along the average change as Adam does, v <- beta2 v + (1 - beta2) Delta^2.

    FedAdam: Reddi et al. 2021 (arXiv 2003.00295); m and v are not corrected for their start.
    """

    kind: Literal["adam"] = "adam"
    references: ClassVar[tuple[str, ...]] = ("reddi2021fedopt",)
    main: ClassVar[str] = "eta_g"
    needs: ClassVar[Needs] = MOMENTS

    eta_g: float = Field(0.1, gt=0)
    """Global learning rate."""
    beta1: float = Field(0.9, ge=0, lt=1)
    """Share of the first moment that is kept."""
    beta2: float = Field(0.99, ge=0, lt=1)
    """Share of the second moment that is kept."""
    tau: float = Field(1e-3, gt=0)
    """Added to the root of v, which begins at tau^2: the larger, the nearer to a plain step."""

    def start(self) -> AdaptiveStep:
        return AdaptiveStep(self._second, self.eta_g, self.beta1, self.tau)

    def _second(self, v: Tensor, square: Tensor) -> Tensor:
        return self.beta2 * v + (1 - self.beta2) * square
