"""Column: clients as the data have them."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from harmonia.core.errors import InputError, suggest
from harmonia.data.partitions.base import Columns, Partition


class Column(Partition):
    """Every value of a column is a client: a writer, a hospital, a domain. Clients stand in the order of the values."""

    kind: Literal["column"] = "column"
    main: ClassVar[str] = "name"

    name: str
    """Of the column."""

    def values(self, columns: Columns) -> np.ndarray:
        """Return the value of each client: (K,) of str.

        Raises:
            InputError: there is no such column.
        """
        if self.name not in columns:
            near = suggest(self.name, columns) if columns else "; the data have no columns besides the label"
            raise InputError(f"partition=column:{self.name}: no column {self.name!r}{near}")
        return np.unique(columns[self.name])

    def count(self, columns: Columns, clients: int | None) -> int:
        number = len(self.values(columns))
        if clients not in (None, number):
            raise InputError(
                f"partition=column:{self.name}: {self.name!r} has {number} values and so {number} clients, "
                f"not {clients}; leave out --clients"
            )
        return number

    def deal(self, labels: np.ndarray, columns: Columns, clients: int, random: np.random.Generator) -> list[np.ndarray]:
        return [np.flatnonzero(columns[self.name] == value) for value in self.values(columns)]
