"""FedDyn: every client's loss is bent until its own optimum is the common one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from harmonia.federate.drift.base import Correction, Drift
from harmonia.federate.needs import Item, Needs
from harmonia.federate.stack import Stack

if TYPE_CHECKING:
    from torch import Tensor


class Dyn(Drift):
    """A client's loss gets a linear term and a pull, so that at the common optimum nobody wants to leave it.

    min F_i(v) - <h_i, v> + (alpha / 2) ||v - w||^2, so g - h_i + alpha (v - w); then h_i <- h_i - alpha (v - w). Needs
    server=dyn with the same alpha. Acar et al. 2021 (arXiv 2111.04263).
    """

    kind: Literal["dyn"] = "dyn"
    main: ClassVar[str] = "alpha"
    references: ClassVar[tuple[str, ...]] = ("acar2021feddyn",)
    needs: ClassVar[Needs] = Needs(kept=(Item("dual", "P", "h_i, the slope that bends its loss"),))

    alpha: Annotated[float, Field(gt=0)] = 0.1
    """Strength of the pull, and how fast h_i follows."""

    def begin(self, stack: Stack) -> Bent:
        return Bent(stack, self.alpha)


class Bent(Correction):
    """alpha (v - w) - h_i on the shared coordinates."""

    def __init__(self, stack: Stack, alpha: float) -> None:
        self.stack, self.alpha, self.dual = stack, alpha, stack.kept["dual"]

    def add(self, gradient: Tensor, at: Tensor) -> Tensor:
        return gradient + self.stack.spread(self._pull(at) - self.dual)

    def end(self, final: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return {"dual": self.dual - self._pull(final)}, {}

    def _pull(self, at: Tensor) -> Tensor:
        return self.alpha * (at - self.stack.received)[:, self.stack.shared]
