"""FedAdagrad: as FedAdam, with a second moment that only grows."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.federate.needs import Needs
from harmonia.federate.server.adaptive import MOMENTS, AdaptiveStep
from harmonia.federate.server.base import Server

if TYPE_CHECKING:
    from torch import Tensor


class Adagrad(Server):
    """As FedAdam, with v <- v + Delta^2: steps only get shorter.

    FedAdagrad: Reddi et al. 2021 (arXiv 2003.00295).
    """

    kind: Literal["adagrad"] = "adagrad"
    references: ClassVar[tuple[str, ...]] = ("reddi2021fedopt",)
    main: ClassVar[str] = "eta_g"
    needs: ClassVar[Needs] = MOMENTS

    eta_g: float = Field(0.1, gt=0)
    """Global learning rate."""
    beta1: float = Field(0.0, ge=0, lt=1)
    """Share of the first moment that is kept."""
    tau: float = Field(1e-3, gt=0)
    """Added to the root of v, which begins at tau^2: the larger, the nearer to a plain step."""

    def start(self) -> AdaptiveStep:
        return AdaptiveStep(self._second, self.eta_g, self.beta1, self.tau)

    def _second(self, v: Tensor, square: Tensor) -> Tensor:
        return v + square
