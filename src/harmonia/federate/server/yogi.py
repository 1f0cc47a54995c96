"""FedYogi: as FedAdam, with a second moment that moves by sign."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.federate.needs import Needs
from harmonia.federate.server.adaptive import MOMENTS, AdaptiveStep
from harmonia.federate.server.base import Server

if TYPE_CHECKING:
    from torch import Tensor


class Yogi(Server):
    """As FedAdam, with v <- v - (1 - beta2) Delta^2 sign(v - Delta^2): v falls slowly after large changes.

    FedYogi: Reddi et al. 2021 (arXiv 2003.00295).
    """

    kind: Literal["yogi"] = "yogi"
    references: ClassVar[tuple[str, ...]] = ("reddi2021fedopt",)
    main: ClassVar[str] = "eta_g"
    needs: ClassVar[Needs] = MOMENTS

    eta_g: float = Field(0.1, gt=0)
    """Global learning rate."""
    beta1: float = Field(0.9, ge=0, lt=1)
    """Share of the first moment that is kept."""
    beta2: float = Field(0.99, ge=0, lt=1)
    """One less the rate at which the second moment moves."""
    tau: float = Field(1e-3, gt=0)
    """Added to the root of v, which begins at tau^2: the larger, the nearer to a plain step."""

    def start(self) -> AdaptiveStep:
        return AdaptiveStep(self._second, self.eta_g, self.beta1, self.tau)

    def _second(self, v: Tensor, square: Tensor) -> Tensor:
        return v - (1 - self.beta2) * square * (v - square).sign()
