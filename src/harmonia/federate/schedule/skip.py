"""FedSkip: models wander from client to client and are averaged now and then."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.core.seeds import generator
from harmonia.federate.schedule.base import Schedule, chosen


class Skip(Schedule):
    """An average after every p-th round only; in between each model is passed on to another client.

    A model then sees p clients' examples before it is averaged, and counts by the examples it has visited. Clients
    receive the model of a single other client: unlike an average, it tells about its data. FedSkip: Fan et al. 2022
    (arXiv 2212.07224).
    """

    kind: Literal["skip"] = "skip"
    references: ClassVar[tuple[str, ...]] = ("fan2022fedskip",)
    main: ClassVar[str] = "period"

    period: int = Field(3, ge=1)
    """p, rounds from one average to the next; 1 is an average in every round."""
    permutation: Literal["random", "derangement", "cyclic"] = "random"
    """random: every round draws clients afresh, so that a model may return to one it has visited. derangement: models
    jump at random, never back to a client within a period. cyclic: each moves to the next client on one ring."""

    @property
    def relays(self) -> bool:
        return self.period > 1

    def assign(self, round: int, active: int, clients: int, seed: int) -> list[int]:
        if self.permutation == "random" or not self.relays:
            return chosen(clients, active, generator(seed, "schedule", round))
        if self.period > clients:
            raise InputError(
                f"schedule.permutation={self.permutation} sends a model to {self.period} different clients in a "
                f"period, and there are {clients}: lower schedule.period, or take permutation=random"
            )
        if self.permutation == "cyclic":
            ring = generator(seed, "schedule").permutation(clients)
            return [int(ring[(slot + round - 1) % clients]) for slot in range(active)]
        # One ring per period, along which all models jump by the same distances. They are distinct, so no model comes
        # back and no two meet; and as the ring is random, each model's visits are a draw without replacement.
        period, place = divmod(round - 1, self.period)
        random = generator(seed, "schedule", "period", period)
        ring, jumps = random.permutation(clients), random.permutation(clients)
        return [int(ring[(slot + jumps[place]) % clients]) for slot in range(active)]

    def averages(self, round: int, clients: int) -> bool:
        return round % self.period == 0
