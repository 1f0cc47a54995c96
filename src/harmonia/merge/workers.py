"""Threads that work on one tensor each."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeVar, overload

from harmonia.core.allocator import keep_freed_memory
from harmonia.core.errors import InputError
from harmonia.core.progress import Advance, bar
from harmonia.merge.plan import Planned
from harmonia.merge.sources import Sources

S = TypeVar("S")
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
    megabytes = [tensor.slot.bytes / _MEGABYTE for tensor in tensors]

    def single(tensor: Planned, advance: Advance) -> T:
        size = tensor.slot.bytes / max(tensor.slot.size, 1) / _MEGABYTE
        return work(tensor, lambda elements: advance(elements * size))

    return _shared(tensors, megabytes, single, threads, description)


class InThreads(Sequence[Sources]):
    """All tensors of a model, and threads that go through them (``sources.Shared``), with a bar for each time.

    Args:
        model: the tensors.
        threads: workers; None for one per core.
        description: what the progress bar says.
    """

    def __init__(self, model: Sequence[Sources], threads: int | None, description: str) -> None:
        self._model, self._threads, self._description = model, threads, description

    def each(self, work: Callable[[Sources], T]) -> list[T]:
        """Return ``work`` of every tensor, in order; the first failure stops the others."""
        megabytes = [4 * (tensor.experts + tensor.has_base) * tensor.size / _MEGABYTE for tensor in self._model]

        def single(place: int, advance: Advance) -> T:
            found = work(self._model[place])
            advance(megabytes[place])
            return found

        return _shared(range(len(self._model)), megabytes, single, self._threads, self._description)

    @overload
    def __getitem__(self, place: int) -> Sources: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Sources]: ...

    def __getitem__(self, place: int | slice) -> Sources | Sequence[Sources]:
        return self._model[place]

    def __len__(self) -> int:
        return len(self._model)


def _shared(
    items: Sequence[S],
    megabytes: Sequence[float],
    work: Callable[[S, Advance], T],
    threads: int | None,
    description: str,
) -> list[T]:
    stop, one = threading.Event(), threading.Lock()

    def single(item: S, advance: Advance) -> T:
        def moved(amount: float, text: str | None = None) -> None:
            if stop.is_set():
                raise _StoppedError
            with one:
                advance(amount, text)

        return work(item, moved)

    total = int(sum(megabytes))
    with one_thread(), bar(description, total) as advance, ThreadPoolExecutor(workers(threads)) as pool:
        futures: list[Future[T]] = [pool.submit(single, item, advance) for item in items]
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


def workers(threads: int | None) -> int:
    """Return how many there are: as asked for, or one per core.

    Raises:
        InputError: less than one.
    """
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
