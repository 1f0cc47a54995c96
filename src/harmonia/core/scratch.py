"""Memory that a thread uses again and again for pieces of work.

What is given back to the C library and asked for again, in other lengths, leaves holes between what stays: memory
would grow with the number of pieces.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import numpy as np

_LINE = 64
"""Bytes of a cache line, at a multiple of which memory begins."""


class Scratch(threading.local):
    """Memory of each thread, which is freed when the thread ends."""

    def __init__(self) -> None:
        self._free: list[np.ndarray] = []

    @contextlib.contextmanager
    def borrowed(self, size: int, dtype: type[np.generic]) -> Iterator[np.ndarray]:
        """Lend an array for the block, with whatever it holds.

        Args:
            size: its elements.
            dtype: its type.

        >>> scratch = Scratch()
        >>> with scratch.borrowed(4, np.float32) as first:
        ...     place = first.ctypes.data
        >>> with scratch.borrowed(2, np.float32) as again, scratch.borrowed(2, np.float32) as other:
        ...     again.ctypes.data == place, other.ctypes.data == place, len(again)
        (True, False, 2)
        """
        needed = size * np.dtype(dtype).itemsize
        memory = self._free.pop() if self._free else np.empty(0, np.uint8)
        if len(memory) < needed:
            memory = np.empty(needed + _LINE, np.uint8)
            memory = memory[-memory.ctypes.data % _LINE :]
        try:
            yield memory[:needed].view(dtype)
        finally:
            self._free.append(memory)
