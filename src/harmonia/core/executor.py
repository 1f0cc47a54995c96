"""Where independent pieces of work run: in this process, in worker processes, or on a Ray cluster.

The results come in the order of the items and do not depend on the executor. Only a few items are in flight at a
time, so memory is bounded by the workers, not by the items.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from harmonia.core.errors import InputError, MissingExtraError, RunError, suggest

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")
R = TypeVar("R")


class Executor(Protocol):
    """Maps work over items."""

    def map(self, make: Callable[[], Callable[[T], R]], items: Iterable[T]) -> Iterator[R]:
        """Yield ``make()(item)`` for each item, in order.

        ``make`` is called once per worker; what it builds (a model, an open file) serves all items of that worker.
        It must be importable: a module-level function, or ``functools.partial`` of one.

        Raises:
            RunError: a worker died.
        """
        ...


@dataclass(frozen=True)
class Serial:
    """Everything in this process."""

    def map(self, make: Callable[[], Callable[[T], R]], items: Iterable[T]) -> Iterator[R]:
        work = make()
        return (work(item) for item in items)


_work: Callable[[Any], Any] | None = None


def _install(make: Callable[[], Callable[[Any], Any]]) -> None:
    global _work
    try:
        _work = make()
    except Exception as error:
        # an initialiser that fails would only be reported as a dead worker; the first item says what is wrong
        _work = partial(_refuse, error)


def _serve(make: Callable[[], Callable[[Any], Any]]) -> None:
    """Set a worker process up: Ctrl-C lets it finish its item and no other, and it ends when its parent is gone."""
    signal.signal(signal.SIGINT, _stop)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _install(make)


def _stop(number: int, frame: object) -> None:
    # to die here could leave half a message in the pipe, on which the parent would wait for ever
    global _work
    _work = _interrupted


def _interrupted(item: Any) -> Any:
    raise RunError("a worker process was interrupted; go on with --resume")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # a killed parent cannot tell its workers to stop


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back: a process started meanwhile does not see it before it is set up."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _refuse(error: Exception, item: Any) -> Any:
    raise error


def _do(item: Any) -> Any:
    assert _work is not None
    return _work(item)


class WorkerPool:
    """Worker processes that stay, started fresh so that threads of the parent cannot deadlock them.

    Args:
        workers: how many.
        make: called once per worker; what it builds serves all items of that worker.
        context: how processes are started; ``spawn`` of the standard library by default.
    """

    def __init__(self, workers: int, make: Callable[[], Callable[[T], R]], context: Any = None) -> None:
        from concurrent.futures import ProcessPoolExecutor

        self._pool = ProcessPoolExecutor(workers, context or multiprocessing.get_context("spawn"), _serve, (make,))

    def submit(self, item: Any) -> Future[Any]:
        """Give an item to whatever worker is free; its future raises ``BrokenProcessPool`` when a worker died."""
        with _interrupts_held():
            return self._pool.submit(_do, item)

    def close(self, *, wait: bool = True) -> None:
        """Stop the workers; what they have not begun is not done."""
        self._pool.shutdown(wait=wait, cancel_futures=True)

    def kill(self) -> None:
        """Stop the workers in the middle of their items."""
        # Python 3.14 has kill_workers() for it; before, the pool's own table is the only way to its processes
        for process in list((self._pool._processes or {}).values()):
            process.kill()
        self.close(wait=False)


@dataclass(frozen=True)
class Processes:
    """Worker processes on this machine."""

    workers: int

    def map(self, make: Callable[[], Callable[[T], R]], items: Iterable[T]) -> Iterator[R]:
        from concurrent.futures.process import BrokenProcessPool

        pool = WorkerPool(self.workers, make)
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(item))
                if len(waiting) > 2 * self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise RunError(
                "a worker process died: for want of memory (go on with --resume and fewer --workers), or because a "
                'script does work when it is imported (put that work under if __name__ == "__main__":)'
            ) from error
        finally:
            for future in waiting:
                future.cancel()
            pool.close()


@dataclass(frozen=True)
class Ray:
    """Ray actors: on the cluster that ``RAY_ADDRESS`` names, else on a local one that is started for the run."""

    workers: int

    def map(self, make: Callable[[], Callable[[T], R]], items: Iterable[T]) -> Iterator[R]:
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("ray", "ray") from error
        if not ray.is_initialized():
            address = os.environ.get("RAY_ADDRESS")
            options = {"address": address} if address else {"num_cpus": self.workers, "include_dashboard": False}
            os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else Ray warns of a change to come
            ray.init(log_to_driver=False, configure_logging=False, **options)

        @ray.remote(num_cpus=1)
        class Worker:
            def __init__(self, make: Callable[[], Callable[[T], R]]) -> None:
                _install(make)

            def do(self, item: T) -> R:
                return _do(item)

        actors: list[Any] = [
            Worker.remote(make)  # type: ignore[attr-defined]
            for _ in range(self.workers)
        ]
        waiting: deque[Any] = deque()
        try:
            for turn, item in enumerate(items):
                waiting.append(actors[turn % self.workers].do.remote(item))
                if len(waiting) > 2 * self.workers:
                    yield ray.get(waiting.popleft())
            while waiting:
                yield ray.get(waiting.popleft())
        except ray.exceptions.RayActorError as error:
            raise RunError(f"a Ray worker died: {error}; go on with --resume") from error
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        finally:
            for actor in actors:
                ray.kill(actor)


def executor(engine: str, workers: int | None) -> Executor:
    """Return the executor that ``--engine`` and ``--workers`` ask for.

    Args:
        engine: ``"local"`` or ``"ray"``.
        workers: number of workers; None for one per core.

    Raises:
        InputError: an unknown engine, or less than one worker.
    """
    count = workers if workers is not None else os.cpu_count() or 1
    if count < 1:
        raise InputError(f"--workers {count}: at least 1 is needed")
    if engine == "ray":
        return Ray(count)
    if engine == "local":
        return Processes(count) if count > 1 else Serial()
    raise InputError(f"no engine {engine!r}{suggest(engine, ('local', 'ray'))}")
