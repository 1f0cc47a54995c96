"""Times of several sides, taken in turn so that a busy machine hurts all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Timed:
    """Seconds of every repetition, and what the last one returned."""

    seconds: list[float]
    result: Any

    @property
    def median(self) -> float:
        """The median time in seconds."""
        return statistics.median(self.seconds)


def in_turn(sides: Mapping[str, Callable[[], Any]], repeats: int = 3) -> dict[str, Timed]:
    """Run every side once, then every side again, ``repeats`` times.

    A side that returns ``Elsewhere`` was timed in the process where it ran.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    results: dict[str, Any] = {}
    for _ in range(repeats):
        for name, run in sides.items():
            start = time.perf_counter()
            found = run()
            elapsed = time.perf_counter() - start
            if isinstance(found, Elsewhere):
                elapsed, found = found.seconds, found.result
            seconds[name].append(elapsed)
            results[name] = found
    return {name: Timed(seconds[name], results[name]) for name in sides}


@dataclass(frozen=True)
class Elsewhere:
    """A result that another process computed and timed."""

    seconds: float
    result: Any
