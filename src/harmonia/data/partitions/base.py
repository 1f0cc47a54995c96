"""The contract of a partition: which client holds which examples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harmonia.core.errors import InputError
from harmonia.core.part import Part
from harmonia.core.seeds import generator

Columns = Mapping[str, np.ndarray]
"""What is known of each example besides its label: name -> (n,) of str."""


class Partition(Part):
    """Deals examples out to clients: every example to one client, some to every client."""

    def split(self, labels: np.ndarray, columns: Columns, clients: int | None, seed: int) -> list[np.ndarray]:
        """Return the rows of each client: disjoint, covering, sorted, none empty.

        Args:
            labels: (n,) int64.
            columns: further columns; only some partitions look at them.
            clients: K; None where the data tell how many there are.
            seed: of the draw; with the same labels and columns it gives the same rows.

        Raises:
            InputError: the data cannot be dealt out like this.
        """
        labels = np.asarray(labels)
        if labels.ndim != 1 or labels.dtype.kind not in "iu" or (len(labels) and labels.min() < 0):
            raise InputError(f"partition={self.kind_name()}: labels must be integers from 0, one for each example")
        number = self.count(columns, clients)
        if not 1 <= number <= len(labels):
            raise InputError(
                f"partition={self.kind_name()}: {number} clients for {len(labels)} examples; "
                "give at least one client, and at most one for each example"
            )
        rows = self.deal(labels, columns, number, generator(seed, "partition", self.kind_name()))
        empty = next((client for client, own in enumerate(rows) if not len(own)), None)
        if empty is not None:
            raise InputError(
                f"partition={self.kind_name()}: client {empty} of {number} gets no example; take fewer clients"
            )
        return [np.sort(own) for own in rows]

    def count(self, columns: Columns, clients: int | None) -> int:
        """Return K.

        Raises:
            InputError: it was not told, and the data do not tell it.
        """
        if clients is None:
            raise InputError(f"partition={self.kind_name()}: say how many clients there are with --clients")
        return clients

    def deal(self, labels: np.ndarray, columns: Columns, clients: int, random: np.random.Generator) -> list[np.ndarray]:
        """Return the rows of each client, in any order.

        Args:
            labels: (n,) from 0.
            columns: name -> (n,) of str.
            clients: K, at most n.
            random: the source of all chance.

        Raises:
            InputError: the data cannot be dealt out like this.
        """
        raise NotImplementedError

    def noise(self, clients: int) -> np.ndarray:
        """Return the standard deviation of the noise in each client's inputs, which run from 0 to 1: (K,) float64."""
        return np.zeros(clients)
