"""What a part may know of the run it serves: the seed, the numeric type, and places to compute and to keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harmonia.core.progress import warn


def _compute(name: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return make()


@dataclass(frozen=True)
class Context:
    """The seed and services of a run; the default serves plain arrays, with nothing kept on disk.

    Attributes:
        seed: seed of the run.
        dtype: type in which solvers compute, float32 (sums still in float64) or float64.
        keep: ``keep(name, make)`` returns ``make()``, a dict of arrays, stored so that a resumed run reads it back.
        warn: says something the user must know; also kept in the run's record.
    """

    seed: int = 0
    dtype: Any = np.float32
    keep: Callable[[str, Callable[[], dict[str, np.ndarray]]], dict[str, np.ndarray]] = field(default=_compute)
    warn: Callable[[str], None] = field(default=warn)

    def within(self, place: str) -> Context:
        """Return the context of a part inside another, whose kept arrays must not meet those of its neighbours."""
        return replace(self, keep=lambda name, make: self.keep(f"{place}-{name}", make))
