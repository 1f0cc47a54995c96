"""Flower's own federated averaging in its own simulation, timed by round: the same network, examples and steps.

Clients map the examples from files and keep one network per actor, so nothing is charged to Flower that a careful user
of it would not pay. A round is timed from the strategy's sending of the model to its having the average.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from harmonia.data.labelled import Labelled
from harmonia.federate.engine import architecture

_networks: dict[str, torch.nn.Module] = {}
"""In an actor: the network of this model, made once."""


class Timed(FedAvg):
    """Federated averaging that notes when a round begins and ends."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.begun = 0.0
        self.seconds: list[float] = []

    def configure_train(self, *arguments: Any, **settings: Any) -> Any:
        """Note the beginning."""
        self.begun = time.perf_counter()
        return super().configure_train(*arguments, **settings)

    def aggregate_train(self, *arguments: Any, **settings: Any) -> Any:
        """Note the end."""
        found = super().aggregate_train(*arguments, **settings)
        self.seconds.append(time.perf_counter() - self.begun)
        return found


def network_of(model: str, shape: tuple[int, ...], classes: int) -> torch.nn.Module:
    """Return the network, with a linear head."""
    part = architecture(model)
    return torch.nn.Sequential(part.build(shape), torch.nn.Linear(part.features, classes))


def client_app(folder: str, model: str, shape: tuple[int, ...], classes: int, batch: int, steps: int) -> ClientApp:
    """Return clients that take so many steps of plain gradient descent."""
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        torch.set_num_threads(1)
        network = _networks.setdefault(model, network_of(model, shape, classes))
        network.load_state_dict(message.content["arrays"].to_torch_state_dict())
        begin, end = np.load(f"{folder}/places.npy")[int(context.node_config["partition-id"])]
        inputs = np.load(f"{folder}/inputs.npy", mmap_mode="r")[begin:end]
        labels = np.load(f"{folder}/labels.npy", mmap_mode="r")[begin:end]
        optimizer = torch.optim.SGD(network.parameters(), lr=0.02)
        for step in range(steps):
            rows = np.arange(step * batch, (step + 1) * batch) % len(labels)
            x, y = torch.from_numpy(inputs[rows]), torch.from_numpy(labels[rows])
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(x), y).backward()
            optimizer.step()
        content = RecordDict(
            {
                "arrays": ArrayRecord(network.state_dict()),
                "metrics": MetricRecord({"num-examples": int(end - begin)}),
            }
        )
        return Message(content=content, reply_to=message)

    return app


def flower_seconds(given: Any, data: Labelled) -> list[float]:
    """Return the seconds of every round but the first."""
    from flwr.simulation import run_simulation

    shape, classes = tuple(data.train.inputs.shape[1:]), len(data.classes)
    found: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = np.array_split(np.arange(len(data.train)), given.clients)
        np.save(folder / "inputs.npy", data.train.inputs)
        np.save(folder / "labels.npy", data.train.labels)
        np.save(folder / "places.npy", np.array([(part[0], part[-1] + 1) for part in parts]))
        server = ServerApp()

        @server.main()
        def main(grid: Grid, context: Context) -> None:
            strategy = Timed(
                fraction_evaluate=0.0,
                min_train_nodes=given.clients,
                min_available_nodes=given.clients,
            )
            first = ArrayRecord(network_of(given.model, shape, classes).state_dict())
            strategy.start(grid, first, num_rounds=given.rounds)
            found.extend(strategy.seconds)

        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        clients = client_app(name, given.model, shape, classes, given.batch, given.steps)
        cores = {"init_args": {"num_cpus": given.workers}, "client_resources": {"num_cpus": 1, "num_gpus": 0.0}}
        run_simulation(server, clients, given.clients, backend_config=cores)
    return found[1:]
