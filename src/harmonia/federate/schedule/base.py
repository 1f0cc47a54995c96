"""The axis ``schedule``: which client trains which model, and when models are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from harmonia.core.part import Part


class Schedule(Part):
    """Which client trains which model, and when models are averaged.

    A slot is a model on its way; with an average in every round all slots hold the same.
    """

    @property
    def relays(self) -> bool:
        """Whether a client's model is passed on to another client as it is."""
        return False

    references: ClassVar[tuple[str, ...]] = ()

    def assign(self, round: int, active: int, clients: int, seed: int) -> list[int]:
        """Return the client that each slot's model is sent to in this round: distinct numbers.

        Args:
            round: from 1.
            active: how many clients take part.
            clients: how many there are.
            seed: of the choice; the same arguments give the same clients.
        """
        raise NotImplementedError

    def averages(self, round: int, clients: int) -> bool:
        """Return whether models are averaged after this round, of so many clients in all."""
        return True


def chosen(clients: int, active: int, random: np.random.Generator) -> list[int]:
    """Return so many distinct clients, in random order."""
    found: Sequence[int] = random.permutation(clients)[:active].tolist()
    return list(found)
