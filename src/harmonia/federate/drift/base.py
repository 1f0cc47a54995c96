"""The axis ``drift``: what is added to a client's gradient against running off to its own optimum."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from harmonia.core.part import Part
from harmonia.federate.needs import Needs
from harmonia.federate.server_rule import ServerRule
from harmonia.federate.stack import Stack

if TYPE_CHECKING:
    from torch import Tensor


class Drift(Part):
    """What is added to a client's gradient.

    All terms act at the iterate itself, not at a perturbed point.
    """

    needs: ClassVar[Needs] = Needs()
    """What the correction needs of a round."""

    def begin(self, stack: Stack) -> Correction:
        """Return the correction of one local training."""
        raise NotImplementedError

    def server(self, clients: int) -> ServerRule | None:
        """Return what the server does for it, of so many clients in all; None for nothing."""
        return None


class Correction:
    """The correction of m clients during one local training."""

    def add(self, gradient: Tensor, at: Tensor) -> Tensor:
        """Return the corrected gradient of a step at these vectors: (m, P)."""
        return gradient

    def end(self, final: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return what the clients keep and what they send, by name: (m, ...) each.

        Args:
            final: (m, P) the vectors after the last step.
        """
        return {}, {}
