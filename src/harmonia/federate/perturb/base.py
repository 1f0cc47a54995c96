"""The axis ``perturb``: at which point the gradient of a local step is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmonia.core.part import Part
from harmonia.federate.needs import Needs
from harmonia.federate.server_rule import ServerRule
from harmonia.federate.stack import Gradient, Stack

if TYPE_CHECKING:
    from torch import Tensor


class Perturb(Part):
    """At which point the gradient is taken."""

    @property
    def needs(self) -> Needs:
        """What the perturbation needs of a round."""
        return Needs()

    def begin(self, stack: Stack) -> Perturbation:
        """Return the perturbation of one local training."""
        raise NotImplementedError

    def server(self) -> ServerRule | None:
        """Return what the server does for it; None for nothing."""
        return None


class Perturbation:
    """The perturbation of m clients during one local training."""

    constant: Tensor | None = None
    """(m, P), where the shift is the same in every step; local training then runs at the shifted point, which is exact,
    and takes the shift off at the end."""

    def gradient(self, at: Tensor, gradient: Gradient) -> Tensor:
        """Return the gradient that a step at these vectors goes by: (m, P)."""
        raise NotImplementedError

    def end(self, final: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return what the clients keep and what they send, by name: (m, ...) each."""
        return {}, {}
