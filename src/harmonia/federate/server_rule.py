"""What the server keeps and does for a part of local training: a loss, a perturbation, a drift correction."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class ServerRule:
    """The server's side of a part.

    Attributes:
        state: its arrays by name, stored with every round; empty before the first.
    """

    def __init__(self) -> None:
        self.state: dict[str, Tensor] = {}

    def down(self, model: Tensor) -> dict[str, Tensor]:
        """Return what is sent to every client beside the model.

        Args:
            model: (P,) the model that all clients share at present.
        """
        return {}

    def receive(self, client: int, up: dict[str, Tensor]) -> None:
        """Take in what a client sent, by name."""

    def end_round(self, before: Tensor, after: Tensor, steps: float, rate: float) -> None:
        """Draw the consequences of a round after which models were averaged.

        Args:
            before: (P,) the model that was sent.
            after: (P,) the model that came of it.
            steps: mean number of local steps.
            rate: learning rate of the round.
        """
