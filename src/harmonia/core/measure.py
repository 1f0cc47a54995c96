"""What a piece of work cost: seconds and peak resident memory of this process."""

from __future__ import annotations

import resource
import sys
import time
from types import TracebackType
from typing import Self

_STATUS = "/proc/self/status"
_CLEAR = "/proc/self/clear_refs"


def peak_memory_bytes() -> int:
    """Return the largest resident memory since the last reset, in bytes."""
    try:
        with open(_STATUS, encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def reset_peak_memory() -> None:
    """Start the peak anew where the system allows it (Linux); elsewhere the peak is that of the whole process."""
    try:
        with open(_CLEAR, "w", encoding="ascii") as clear:
            clear.write("5")
    except OSError:
        return


class Meter:
    """Measure a block.

    >>> with Meter() as meter:
    ...     _ = sum(range(1000))
    >>> meter.seconds > 0 and meter.peak_memory_bytes > 0
    True
    """

    seconds = 0.0
    peak_memory_bytes = 0

    def __enter__(self) -> Self:
        reset_peak_memory()
        self._start = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self._start
        self.peak_memory_bytes = peak_memory_bytes()
