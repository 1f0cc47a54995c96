"""Where clients run. Every engine runs the same ``Clients``; they differ in place, and in how many run in one pass."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from harmonia.core.errors import InputError
from harmonia.federate.clients import Clients
from harmonia.federate.engines.base import Engine
from harmonia.federate.engines.in_process import InProcess
from harmonia.federate.engines.processes import Processes
from harmonia.federate.store import ClientStore


@contextlib.contextmanager
def start_engine(
    name: str, workers: int | None, clients: Clients, store: ClientStore, timeout: float | None = None
) -> Iterator[Engine]:
    """Run clients by an engine while the block lasts.

    Args:
        name: ``loop``, one client after another; ``vmap``, all in one pass; ``processes``; ``auto``, processes where
            several workers are asked for, else as many clients in one pass as a first measurement finds best;
            ``flower``, Flower's simulation.
        workers: processes; None for one per core where ``processes`` is named.
        clients: their model, data and recipe.
        store: what they keep.
        timeout: seconds in which a round's answers must come, where clients run elsewhere; None for any.

    Raises:
        InputError: a time limit for clients in this process, which nothing could stop.
    """
    if name == "flower":
        from harmonia.federate.flower.simulation import simulated_engine

        with simulated_engine(clients, store, workers, timeout) as simulated:
            yield simulated
        return
    if name == "processes" or (name == "auto" and workers is not None and workers > 1):
        running: Engine = Processes(clients, store, workers or os.cpu_count() or 1, timeout)
    elif timeout is not None:
        raise InputError(
            f"--timeout {timeout:g} with --engine {name}: clients that run in this process cannot be stopped; "
            "take --engine processes or flower"
        )
    else:
        running = InProcess(clients, store, {"loop": 1, "vmap": len(clients.rows)}.get(name))
    try:
        yield running
    finally:
        running.close()
