"""Threads that work on one tensor each."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from harmonia.core.allocator import keep_freed_memory
from harmonia.core.errors import InputError
from harmonia.core.progress import Advance, bar
from harmonia.merge.plan import Planned

T = TypeVar("T")

_MEGABYTE = 1_000_000
_KEPT = 64 << 20
"""Bytes of freed pieces that the process keeps for the next ones."""


class _StoppedError(Exception):
    """Another worker failed."""


def in_threads(
    tensors: Sequence[Planned],
    work: Callable[[Planned, Callable[[int], None]], T],
    threads: int | None,
    description: str,
) -> list[T]:
    """Return ``work(tensor, advance)`` of every tensor, in order; the first failure stops the others.

    Args:
        tensors: what there is to do; begun in this order.
        work: is given a tensor and a function to be called with elements as they are done.
        threads: workers; None for one per core.
        description: what the progress bar says.

    Raises:
        InputError: less than one worker.
    """
    total = sum(tensor.slot.bytes for tensor in tensors) // _MEGABYTE
    stop, one = threading.Event(), threading.Lock()

    def single(tensor: Planned, advance: Advance) -> T:
        size = tensor.slot.bytes / max(tensor.slot.size, 1) / _MEGABYTE

        def moved(elements: int) -> None:
            if stop.is_set():
                raise _StoppedError
            with one:
                advance(elements * size)

        return work(tensor, moved)

    with one_thread(), bar(description, total) as advance, ThreadPoolExecutor(_workers(threads)) as pool:
        futures: list[Future[T]] = [pool.submit(single, tensor, advance) for tensor in tensors]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:  # whether a worker failed or the user interrupts
            failed = [future for future in futures if future.done() and not future.cancelled() and future.exception()]
            if failed or not all(future.done() for future in futures):
                stop.set()
                pool.shutdown(cancel_futures=True)
    if failed:
        failed[0].result()
    return [future.result() for future in futures]


def _workers(threads: int | None) -> int:
    if threads is not None and threads < 1:
        raise InputError(f"threads={threads}: at least 1 is needed")
    return threads or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread for each operation: workers share the cores by tensors, and products round as one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    keep_freed_memory(_KEPT)
    try:
        yield
    finally:
        torch.set_num_threads(before)
