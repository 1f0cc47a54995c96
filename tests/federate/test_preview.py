"""What is told before training is what training does."""

from __future__ import annotations

import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.federate.engine import federate
from harmonia.federate.preview import partition, plan


def test_a_preview_deals_as_a_run_does(labelled, tmp_path):
    told = partition(labelled, "pcdd:2", clients=5, seed=3)
    run = federate(
        labelled, partition="pcdd:2", clients=5, seed=3, rounds=1, model="mlp:6", engine="loop", out=tmp_path
    )
    assert told["population"] == run.summary["population"]
    assert partition(labelled, "pcdd:2", clients=5, seed=4)["population"] != told["population"]
    assert np.sum(told["population"]["table"]) == len(labelled.train)


def test_ten_clients_or_as_many_as_a_column_has_values(labelled):
    assert partition(labelled, "iid")["population"]["clients"] == 10
    assert partition(labelled, "column:site")["population"]["clients"] == 3
    with pytest.raises(InputError, match="leave out --clients"):
        partition(labelled, "column:site", clients=5)


@pytest.mark.parametrize("recipe", ["fedavg", "scaffold", "fedmr", "fedgela", "fedper"])
def test_a_plan_counts_the_bytes_that_a_run_sends(labelled, tmp_path, recipe):
    told = plan(labelled, recipe, clients=4, active=0.5, model="mlp:6")
    shape = {"clients": 4, "active": 0.5, "rounds": 2, "partition": "iid", "model": "mlp:6"}
    run = federate(labelled, recipe, **shape, personal=False, engine="loop", out=tmp_path)
    assert told["messages"] == run.summary["messages"] and told["parameters"] == run.summary["parameters"]
    assert {way: 2 * told["round"][way] for way in ("down", "up")} == run.summary["bytes"]
    assert told["active"] == 2 and told["round"]["down"] == 2 * told["bytes"]["down"]


def test_a_plan_says_what_is_kept_and_computed(labelled):
    plain, control, sharp, private = (
        plan(labelled, r, model="mlp:6") for r in ("fedavg", "scaffold", "fedsam", "fedper")
    )
    assert plain["bytes"] == {"down": 280, "up": 280, "kept": 0, "server": 0}  # 6 x 6 + 6 weights, then 4 x 6 + 4
    assert control["bytes"] == {"down": 560, "up": 560, "kept": 280, "server": 280}
    assert (plain["backward"], sharp["backward"]) == (1, 2)
    assert private["bytes"]["down"] == 4 * 42 and private["bytes"]["kept"] == 4 * 28


def test_what_was_resolved_is_noted_and_what_cannot_be_is_refused(labelled):
    found = plan(labelled, "fedavg", settings=["drift=dyn"], model="mlp:6")
    assert found["axes"]["server"] == "dyn" and "server=dyn" in found["notes"][0]
    with pytest.raises(InputError, match=r"schedule=skip .* drift=scaffold"):
        plan(labelled, "scaffold", settings=["schedule=skip"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"clients": 0}, "--clients 0"),
        ({"active": 0.0}, "--active 0.0"),
        ({"active": 1.5}, "--active 1.5"),
        ({"recipe": "fedavgg"}, "did you mean 'fedavg'"),
        ({"model": "cnnn"}, "--model cnnn"),
    ],
)
def test_what_cannot_be_planned_is_said(labelled, asked, said):
    with pytest.raises(InputError, match=said):
        plan(labelled, **asked)
    if asked == {"clients": 0}:
        with pytest.raises(InputError, match=said):
            partition(labelled, **asked)
