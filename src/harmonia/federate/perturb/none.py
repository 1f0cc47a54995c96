"""The gradient at the weights themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from harmonia.federate.perturb.base import Perturb, Perturbation
from harmonia.federate.stack import Gradient, Stack

if TYPE_CHECKING:
    from torch import Tensor


class NoPerturb(Perturb):
    """The gradient is taken at the weights themselves."""

    kind: Literal["none"] = "none"

    def begin(self, stack: Stack) -> Perturbation:
        return Unperturbed()


class Unperturbed(Perturbation):
    """No shift at all."""

    def gradient(self, at: Tensor, gradient: Gradient) -> Tensor:
        return gradient(at)
