"""An average after every round."""

from __future__ import annotations

from typing import ClassVar, Literal

from harmonia.core.seeds import generator
from harmonia.federate.schedule.base import Schedule, chosen


class Every(Schedule):
    """Clients are drawn afresh in every round, and their models are averaged after it.

    McMahan et al. 2017 (arXiv 1602.05629).
    """

    kind: Literal["every"] = "every"
    references: ClassVar[tuple[str, ...]] = ("mcmahan2017fedavg",)

    def assign(self, round: int, active: int, clients: int, seed: int) -> list[int]:
        return chosen(clients, active, generator(seed, "schedule", round))
