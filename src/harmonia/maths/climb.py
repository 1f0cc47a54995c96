"""What a greedy solver asks of a set function: the gain of every candidate now, and to take one.

A climb is the running state of one set function over m candidate rows while a set S grows from nothing.
Gains are always to be maximised; a cost enters as its negative.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Climb(Protocol):
    """State of a growing set over ``size`` candidates."""

    size: int
    """Number of candidate rows m."""

    diminishing: bool
    """True when no gain ever grows as S grows (submodular, or minus supermodular): lazy evaluation is then exact."""

    incremental: bool
    """True when all gains at once are cheap after each ``add``; a solver then scans instead of keeping a heap."""

    def gains(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Return f(S + row) - f(S) for these rows (all when None): float64. Values at rows in S mean nothing."""
        ...

    def add(self, row: int) -> None:
        """Put ``row`` into S."""
        ...
