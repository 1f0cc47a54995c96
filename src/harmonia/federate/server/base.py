"""The axis ``server``: what the server does with the average."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from harmonia.core.part import Part
from harmonia.federate.needs import Needs

if TYPE_CHECKING:
    from torch import Tensor


class Server(Part):
    """What the server does with the average."""

    needs: ClassVar[Needs] = Needs()
    """What it keeps."""

    def start(self) -> ServerStep:
        """Return the step of a new training."""
        raise NotImplementedError


class ServerStep:
    """Steps from the model to the next, given the average.

    Attributes:
        state: its arrays by name, stored with every round; empty before the first step.
    """

    state: dict[str, Tensor]

    def step(self, model: Tensor, average: Tensor, active: int, clients: int) -> Tensor:
        """Return the next model: (P,).

        Args:
            model: (P,) w, the one before.
            average: (P,) of what came back.
            active: how many clients took part.
            clients: how many there are.
        """
        raise NotImplementedError
