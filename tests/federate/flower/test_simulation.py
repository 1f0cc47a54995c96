"""Flower's own simulation, on Ray: the same weights as the plain loop."""

from __future__ import annotations

import pytest

pytest.importorskip("flwr")
pytest.importorskip("ray")

import os
from dataclasses import replace

import numpy as np
import torch
from tests.federate.flower.federation import Federation, recipe_of

from harmonia.federate.flower.simulation import simulated_engine
from harmonia.federate.messages import Lost
from harmonia.federate.store import ClientStore


@pytest.mark.slow
def test_three_rounds_in_flowers_simulation_are_those_of_the_plain_loop(tmp_path):
    federation, path = Federation(recipe_of("scaffold")), os.environ.get("PYTHONPATH")
    coordinator, store = federation.coordinator(3), ClientStore(tmp_path)
    found = []
    with simulated_engine(federation.examined(), store, workers=1) as engine:
        for _ in range(3):
            assert not federation.take(coordinator, engine).lost
            found.append(coordinator.model.clone())
        judged = list(engine.run([replace(job, judge=True) for job in coordinator.jobs()]))
        engine.timeout = 0.0
        late = list(engine.run(coordinator.jobs()))
    assert (torch.stack(found) - federation.in_process(3)).abs().max() <= 1e-6
    assert store.rounds == dict.fromkeys(range(4), 3)
    assert store.get(2)["control"].shape == (federation.plan.sizes.shared,)
    kept = [store.get(answer.client) for answer in judged]
    wanted = federation.examined().fit([replace(job, judge=True) for job in coordinator.jobs()], kept)
    np.testing.assert_array_equal(
        [a.facts["accuracy"] for a in judged], [reply.facts["accuracy"] for reply, _ in wanted]
    )
    assert any(isinstance(answer, Lost) and answer.why == "did not answer within 0 s" for answer in late)
    assert os.environ.get("PYTHONPATH") == path
