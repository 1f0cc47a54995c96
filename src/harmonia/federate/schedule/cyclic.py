"""One model visits all clients, one after another."""

from __future__ import annotations

from typing import ClassVar, Literal

from harmonia.core.seeds import generator
from harmonia.federate.schedule.base import Schedule


class Cyclic(Schedule):
    """One model visits every client in turn, one per round; when it has seen all, it is the new global model.

    Training in sequence: cyclical weight transfer, Chang et al. 2018; with the order drawn afresh for every lap, Li &
    Lyu 2023 (arXiv 2311.03154). Clients receive the model of the client before them as it is.
    """

    kind: Literal["cyclic"] = "cyclic"
    references: ClassVar[tuple[str, ...]] = ("chang2018cyclic", "li2023sequential")
    main: ClassVar[str] = "order"

    order: Literal["fixed", "shuffled"] = "fixed"
    """Whether every lap has the same order of clients, or one of its own."""

    @property
    def relays(self) -> bool:
        return True

    def assign(self, round: int, active: int, clients: int, seed: int) -> list[int]:
        lap, place = divmod(round - 1, clients)
        order = generator(seed, "schedule", *([lap] if self.order == "shuffled" else [])).permutation(clients)
        return [int(order[place])]

    def averages(self, round: int, clients: int) -> bool:
        return round % clients == 0
