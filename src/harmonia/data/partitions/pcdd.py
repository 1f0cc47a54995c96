"""PCDD: partially class-disjoint data."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.data.partitions.base import Columns, Partition
from harmonia.data.partitions.holders import add_classes, among_holders


class PCDD(Partition):
    """Every client holds the same small number of classes, and every class is held: P10C2 is 10 clients with 2 each.

    K clients have rho slots each. The first C slots, taken round the clients, get the classes 0 .. C - 1; the others a
    class at random among those that the client does not hold. Each class is cut into equal parts among its holders, so
    every example has one client (the released code of FedMR gives each class out twice). Needs K rho >= C. Fan et al.
    2023 (FedMR, arXiv 2405.18983; FedGELA, arXiv 2405.18972).
    """

    kind: Literal["pcdd"] = "pcdd"
    main: ClassVar[str] = "classes"
    references: ClassVar[tuple[str, ...]] = ("fan2023fedmr", "fan2023fedgela")

    classes: Annotated[int, Field(ge=1)] = 2
    """rho, classes of a client."""

    def deal(self, labels: np.ndarray, columns: Columns, clients: int, random: np.random.Generator) -> list[np.ndarray]:
        known = np.unique(labels)
        what = f"partition=pcdd:{self.classes}"
        if self.classes > len(known):
            raise InputError(f"{what}: a client cannot hold {self.classes} classes of {len(known)}; take fewer")
        if clients * self.classes < len(known):
            raise InputError(
                f"{what}: {clients} clients with {self.classes} classes each leave some of {len(known)} classes to "
                f"nobody; take {-(-len(known) // self.classes)} clients or {-(-len(known) // clients)} classes each"
            )
        held = np.zeros((clients, len(known)), bool)
        slots = np.arange(len(known))
        held[slots % clients, slots] = True
        add_classes(held, self.classes, random)
        return among_holders(labels, known, held, random, what)
