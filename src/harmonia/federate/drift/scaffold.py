"""SCAFFOLD: control variates for the difference between a client's gradient and everybody's."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from harmonia.federate.drift.base import Correction, Drift
from harmonia.federate.needs import Item, Needs
from harmonia.federate.server_rule import ServerRule
from harmonia.federate.stack import Stack

if TYPE_CHECKING:
    from torch import Tensor


class Scaffold(Drift):
    """A client's gradient is corrected by how it differed from everybody's when it last took part.

    g - c_i + c in every step of eta; after K_i of them c_i <- c_i - c + (w - v) / (K_i eta) (option II), and at the
    server c <- c + (1 / N) sum of the changes of c_i, N the number of all clients. Karimireddy et al. 2020
    (arXiv 1910.06378). The paper averages all clients alike: weight=uniform.
    """

    kind: Literal["scaffold"] = "scaffold"
    references: ClassVar[tuple[str, ...]] = ("karimireddy2020scaffold",)
    needs: ClassVar[Needs] = Needs(
        kept=(Item("control", "P", "c_i, its mean gradient when it last took part"),),
        down=(Item("control", "P", "c, the mean of all clients' controls"),),
        up=(Item("control_change", "P", "the change of c_i"),),
        server=(Item("control", "P", "c, the mean of all clients' controls"),),
    )

    def begin(self, stack: Stack) -> Controlled:
        return Controlled(stack)

    def server(self, clients: int) -> ServerRule:
        return MeanControl(clients)


class Controlled(Correction):
    """c - c_i on the shared coordinates."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.own, self.mean = stack.kept["control"], stack.sent["control"]
        self.difference = stack.spread(self.mean - self.own)

    def add(self, gradient: Tensor, at: Tensor) -> Tensor:
        return gradient + self.difference

    def end(self, final: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        stack = self.stack
        path = stack.rate * stack.steps.to(final.dtype)[:, None]
        change = (stack.received - final)[:, stack.shared] / path - self.mean
        return {"control": self.own + change}, {"control_change": change}


class MeanControl(ServerRule):
    """The mean of all clients' controls; those of clients that never took part are 0."""

    def __init__(self, clients: int) -> None:
        super().__init__()
        self.clients = clients

    def down(self, model: Tensor) -> dict[str, Tensor]:
        return {"control": self.state["control"] if self.state else model.new_zeros(model.shape)}

    def receive(self, client: int, up: dict[str, Tensor]) -> None:
        share = up["control_change"] / self.clients
        # a new tensor each time: jobs of this round may still hold the old one
        self.state["control"] = self.state["control"] + share if self.state else share
