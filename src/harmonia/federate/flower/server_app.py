"""The server's side on Flower: leads the rounds over a grid, and stores what the next one depends on after each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from flwr.app import Context
from flwr.serverapp import ServerApp
from flwr.serverapp.grid import Grid

from harmonia.core.arrays import read_arrays, write_arrays
from harmonia.core.errors import RunError
from harmonia.core.run import Run
from harmonia.federate.classifier import Classifier
from harmonia.federate.coordinator import Coordinator, RoundFacts
from harmonia.federate.engines.base import Engine
from harmonia.federate.failure import handled
from harmonia.federate.flower.engine import FlowerEngine
from harmonia.federate.flower.privacy import CentralPrivacy
from harmonia.federate.flower.setup import Setup, folder_of
from harmonia.federate.planner import Plan

STATE = "server.safetensors"
POLL = 0.2
"""Seconds between two looks at the grid, which may be a network away."""


def _asked(context: Context) -> Setup:
    return Setup.read(context.run_config)


def server_app(asked: Callable[[Context], Setup] = _asked, privacy: CentralPrivacy | None = None) -> ServerApp:
    """Return a Flower app that leads a run.

    Args:
        asked: says what to run; by default the project's settings.
        privacy: of clients towards those who see the model.
    """
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        lead(grid, asked(context), privacy)

    return app


def lead(grid: Grid, setup: Setup, privacy: CentralPrivacy | None = None) -> Path:
    """Lead a run from where its folder stands to its end; return the folder of the trained model.

    Raises:
        InputError: the settings cannot be used.
        RunError: a client failed and the run was asked to stop then, or nodes are missing; the run can go on.
    """
    recipe, network = setup.chosen(), setup.backbone()
    request = setup.model_dump(exclude={"out", "recipe", "timeout", "wait", "on_failure"})
    if privacy is not None:
        request["privacy"] = privacy.request()
    with Run.start(folder_of(setup), recipe, request, resume=True) as run:
        if run.finished:
            return run.result / "model"
        model = setup.model(recipe)
        plan = Plan.of(recipe, model.sizes)
        for line in plan.notes:
            run.warn(line)
        first = model.initial()
        coordinator = Coordinator(
            plan, first[model.shared], setup.clients, setup.active_clients(), setup.rounds, setup.seed
        )
        known = _recall(run, coordinator)
        flower = FlowerEngine(grid, plan, setup.clients, setup.seed, known=known, timeout=setup.timeout, poll=POLL)
        engine: Engine = flower if privacy is None else privacy.guard(flower, coordinator)
        _wait(run, flower, setup)
        while coordinator.round < setup.rounds:
            facts = coordinator.take(handled(engine, coordinator.jobs(), coordinator.model, setup.on_failure))
            _store(run, coordinator, known)
            _tell(run, plan, facts)
        whole = torch.cat([coordinator.model, first[model.shared.stop :]]).numpy()
        trained = Classifier(plan.recipe, network, setup.example_shape(), setup.class_names(), whole, setup.seed)
        trained.save(run.result / "model")
        run.finish()
        return run.result / "model"


def _wait(run: Run, engine: FlowerEngine, setup: Setup) -> None:
    """Wait for the nodes; go on with those that came if clients may be lost."""
    try:
        engine.nodes.wait(setup.wait)
    except RunError as error:
        if setup.on_failure == "abort":
            raise
        run.warn(str(error))


def _tell(run: Run, plan: Plan, facts: RoundFacts) -> None:
    for lost in facts.lost:
        run.warn(f"round {lost.round}: client {lost.client} {lost.why}")
    means = {
        name: float(np.mean([fact[name] for fact in facts.facts]))
        for name in ("loss", "drift")
        if all(name in fact for fact in facts.facts)
    }
    run.log(
        "round",
        round=facts.round,
        averaged=facts.averaged,
        clients=facts.clients,
        lost=[lost.client for lost in facts.lost],
        **means,
        bytes_down=(len(facts.clients) + len(facts.lost)) * plan.bytes_of("down"),
        bytes_up=len(facts.clients) * plan.bytes_of("up"),
        client_seconds=sum(fact.get("seconds", 0.0) for fact in facts.facts),
    )


def _store(run: Run, coordinator: Coordinator, known: dict[int, int]) -> None:
    """Store the server's state, and which participation of each client it counts on."""
    rounds = np.array([known.get(client, 0) for client in range(coordinator.clients)])
    write_arrays(run.state / STATE, {**coordinator.state(), "known": rounds})


def _recall(run: Run, coordinator: Coordinator) -> dict[int, int]:
    """Take up the stored state; return the participations that it counts on."""
    if not (run.state / STATE).exists():
        return {}
    state = read_arrays(run.state / STATE)
    known = state.pop("known")
    coordinator.restore(state)
    return {client: int(round) for client, round in enumerate(known) if round}
