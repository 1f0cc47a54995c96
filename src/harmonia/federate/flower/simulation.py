"""Flower's simulation in this process: its Ray actors run the clients, and a caller leads them over the grid."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from flwr.app import Context
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.grid import Grid

from harmonia.core.errors import RunError, require
from harmonia.federate.clients import Clients
from harmonia.federate.flower.client_app import client_app, client_of
from harmonia.federate.flower.engine import FlowerEngine
from harmonia.federate.judge import Exam, Judge
from harmonia.federate.model import ClientModel
from harmonia.federate.planner import Plan
from harmonia.federate.recipe import FederateRecipe
from harmonia.federate.store import ClientStore

if TYPE_CHECKING:
    from torch import Tensor

START = 180.0
"""Seconds in which the simulation should have started."""


@contextlib.contextmanager
def simulated_engine(
    clients: Clients, store: ClientStore, workers: int | None = None, timeout: float | None = None
) -> Iterator[FlowerEngine]:
    """Run clients in Flower's simulation while the block lasts.

    Args:
        clients: their model, data and recipe. The examples are written once, and mapped by the actors.
        store: where they keep what they keep: in its folder, or in Flower's state if it has none.
        workers: Ray actors; None for one per core.
        timeout: seconds in which a round's answers must come; None for any.
    """
    with tempfile.TemporaryDirectory(prefix="harmonia-flower-") as folder:
        stored = Stored.write(Path(folder), clients)
        app = client_app(stored, folder=store.folder)
        with simulation(app, len(clients.rows), workers) as (grid, alive):
            engine = FlowerEngine(
                grid,
                clients.plan,
                len(clients.rows),
                clients.seed,
                known=store.rounds,
                timeout=timeout,
                alive=alive,
                poll=0.02,
            )
            engine.nodes.wait(START)
            yield engine


@contextlib.contextmanager
def simulation(app: ClientApp, nodes: int, workers: int | None = None) -> Iterator[tuple[Grid, Any]]:
    """Run Flower's simulation while the block lasts; yield its grid, and a function that raises if it has ended.

    Args:
        app: of the clients.
        nodes: how many there are.
        workers: Ray actors; None for one per core.

    Raises:
        MissingExtraError: Ray is not installed.
        RunError: the simulation did not start, or it ended early.
    """
    require("ray", "flower")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else Ray warns of a change to come
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    lent: Queue[Grid] = Queue()
    done, failed = threading.Event(), []
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        lent.put(grid)
        done.wait()

    def work() -> None:
        from flwr.simulation import run_simulation

        cores = workers or os.cpu_count() or 1
        resources: Any = {"init_args": {"num_cpus": cores}, "client_resources": {"num_cpus": 1, "num_gpus": 0.0}}
        try:
            run_simulation(server, app, nodes, backend_config=resources)
        except (Exception, SystemExit) as error:  # it may leave by sys.exit, which ends the thread only
            failed.append(error)

    thread = threading.Thread(target=work, name="flower-simulation", daemon=True)

    def alive() -> None:
        if not thread.is_alive():
            why = f": {failed[0]}" if failed else ""
            raise RunError(f"Flower's simulation ended before the run did{why}; go on with --resume")

    with _quiet():
        thread.start()
        try:
            yield _lent(lent, alive), alive
        finally:
            done.set()
            thread.join(START)


def _lent(lent: Queue[Grid], alive: Any) -> Grid:
    for _ in range(int(START)):
        with contextlib.suppress(Empty):
            return lent.get(timeout=1)
        alive()
    raise RunError(f"Flower's simulation did not start within {START:g} s; go on with --resume")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let Flower and Ray log errors only, and leave the environment as it was."""
    loggers = [logging.getLogger(name) for name in ("flwr", "ray._private.worker")]
    before, path = [logger.level for logger in loggers], os.environ.get("PYTHONPATH")
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
        if path is None:  # Flower sets it for Ray's workers
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = path


class Stored:
    """Brings clients to a simulation's actors: their examples from files, the model with the app.

    Args:
        model: backbone and head.
        train: the clients' training examples.
        test: their test examples; None where they are not judged.
    """

    def __init__(self, model: ClientModel, train: Rows, test: Rows | None) -> None:
        self.model, self.train, self.test = model, train, test

    @classmethod
    def write(cls, folder: Path, clients: Clients) -> Stored:
        """Write the clients' examples."""
        exam, test = clients.exam, None
        train = Rows.write(folder / "train", clients.inputs, clients.labels, clients.rows)
        if exam is not None:
            test = Rows.write(folder / "test", exam.judge.inputs, exam.judge.labels, exam.rows)
        return cls(clients.model, train, test)

    def __call__(self, context: Context, recipe: FederateRecipe, seed: int) -> Clients:
        """Return the client that a node is."""
        client = client_of(context)
        inputs, labels = self.train.read(client)
        exam = None
        if self.test is not None:
            questions, truth = self.test.read(client)
            exam = Exam(Judge(self.model, questions, truth), {client: np.arange(len(truth))})
        plan = Plan.of(recipe, self.model.sizes)
        return Clients(self.model, recipe, plan, inputs, labels, {client: np.arange(len(labels))}, seed, exam)


class Rows:
    """Examples in files, client after client, so that one client's are read alone.

    Args:
        folder: of the files.
        places: client -> where its examples begin and end.
    """

    def __init__(self, folder: Path, places: dict[int, tuple[int, int]]) -> None:
        self.folder, self.places = folder, places

    @classmethod
    def write(cls, folder: Path, inputs: Tensor, labels: Tensor, rows: Mapping[int, np.ndarray]) -> Rows:
        """Write the examples of all clients."""
        folder.mkdir()
        order = np.concatenate([rows[client] for client in rows])
        np.save(folder / "inputs.npy", inputs.cpu().numpy()[order])
        np.save(folder / "labels.npy", labels.cpu().numpy()[order])
        ends = np.cumsum([len(rows[client]) for client in rows]).tolist()
        return cls(folder, dict(zip(rows, zip([0, *ends[:-1]], ends, strict=True), strict=True)))

    def read(self, client: int) -> tuple[Tensor, Tensor]:
        """Return the inputs and labels of a client."""
        begin, end = self.places[client]
        inputs, labels = (
            torch.from_numpy(np.array(np.load(self.folder / f"{name}.npy", mmap_mode="r")[begin:end]))
            for name in ("inputs", "labels")
        )
        return inputs, labels
