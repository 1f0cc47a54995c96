"""The server on Flower: the same model as the plain engine's, also after it was killed; losses as it was asked."""

from __future__ import annotations

import pytest

pytest.importorskip("flwr")

import numpy as np
from flwr.app import Context, Error, Message, RecordDict
from tests.federate.flower.federation import LocalGrid, recipe_of

from harmonia.core import files
from harmonia.core.errors import InputError, RunError
from harmonia.core.run import Run, read_log
from harmonia.data.labelled import open_labelled
from harmonia.federate.classifier import load as load_model
from harmonia.federate.engine import federate
from harmonia.federate.flower.client_app import client_app
from harmonia.federate.flower.privacy import CentralPrivacy
from harmonia.federate.flower.server_app import lead, server_app
from harmonia.federate.flower.setup import Setup, load
from harmonia.models.classifiers import MLP


class Deployed:
    """A run in a folder, with nodes that keep what they keep in folders of their own."""

    def __init__(self, folder, name, **changes):
        random = np.random.default_rng(0)
        self.place, y = folder / "vectors.npz", random.integers(0, 3, 90)
        np.savez(self.place, x=(random.normal(size=(90, 5)) + y[:, None]).astype(np.float32), y=y)
        given = {"data": str(self.place), "partition": "dirichlet:2", "clients": 3, "rounds": 4, "seed": 2}
        given = {**given, "out": str(folder / "run"), "timeout": 5.0, "wait": 5.0}
        self.recipe, self.folder = recipe_of(name), folder
        self.setup = Setup.of(self.recipe, MLP(features=4), open_labelled(self.place), **{**given, **changes})
        self.spoil = lambda client, reply: reply

    def grid(self):
        nodes = {50 + c: {"partition-id": c, "keep": str(self.folder / f"node-{c}")} for c in range(3)}
        grid = LocalGrid(client_app(load), nodes, self.setup.config())
        grid.spoil = self.spoil
        return grid

    def lead(self):
        return load_model(lead(self.grid(), self.setup)).vector

    def plain(self):
        """Return the model of the plain engine."""
        result = federate(
            str(self.place), self.recipe, clients=3, partition="dirichlet:2", rounds=4, model="mlp:4", seed=2,
            engine="loop", personal=False, active=self.setup.active, out=self.folder / "plain",
        )  # fmt: skip
        return result.model.vector

    @property
    def log(self):
        return [event for event in read_log(self.folder / "run") if event["event"] == "round"]


@pytest.mark.parametrize("name", ["fedavg", "scaffold", "fedskip", "fedrep", "fedmr"])
def test_the_model_is_that_of_the_plain_engine(tmp_path, name):
    deployed = Deployed(tmp_path, name)
    assert np.abs(deployed.lead() - deployed.plain()).max() <= 1e-6


def test_some_clients_take_part_in_a_round(tmp_path):
    deployed = Deployed(tmp_path, "scaffold", active=0.67)
    assert np.abs(deployed.lead() - deployed.plain()).max() <= 1e-6
    assert [len(event["clients"]) for event in deployed.log] == [2] * 4


def test_the_app_leads_a_run_by_the_projects_settings(tmp_path):
    deployed = Deployed(tmp_path, "fedavg")
    server_app()(deployed.grid(), Context(1, 0, {}, RecordDict(), deployed.setup.config()))
    assert np.abs(load_model(tmp_path / "run").vector - deployed.plain()).max() <= 1e-6


def test_rounds_are_logged(tmp_path):
    deployed = Deployed(tmp_path, "fedavg")
    deployed.lead()
    event = deployed.log[-1]
    assert (event["round"], event["averaged"], sorted(event["clients"]), event["lost"]) == (4, True, [0, 1, 2], [])
    assert event["bytes_down"] == event["bytes_up"] == 3 * 4 * len(load_model(tmp_path / "run").vector)


class Killed(BaseException):
    """As if the process had been killed: nothing of harmonia catches it."""


@pytest.mark.parametrize(
    ("name", "write"),  # a relay's clients write nothing: four writes in all; with others, one more per client
    [
        *(("fedskip", write) for write in (1, 3)),
        *((name, write) for name in ("scaffold", "fedlesam-d") for write in (2, 5, 8, 11)),
    ],
)
def test_a_killed_server_goes_on_to_the_same_model(tmp_path, monkeypatch, name, write):
    deployed, left = Deployed(tmp_path, name), [write]

    def kill(path):
        left[0] -= path.suffix == ".safetensors"
        if left[0] == 0:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(files, "written", [kill])
        with pytest.raises(Killed):
            deployed.lead()
    assert not (tmp_path / "run" / "result").exists()
    (tmp_path / "whole").mkdir()
    assert np.array_equal(deployed.lead(), Deployed(tmp_path / "whole", name).lead())


def test_the_server_waits_for_its_nodes(tmp_path, monkeypatch):
    deployed, looks = Deployed(tmp_path, "fedavg"), []

    def get_node_ids(grid):
        looks.append(1)
        return list(grid.settings)[: len(looks) - 1]

    monkeypatch.setattr(LocalGrid, "get_node_ids", get_node_ids)
    assert np.abs(deployed.lead() - deployed.plain()).max() <= 1e-6
    assert [sorted(event["clients"]) for event in deployed.log] == [[0, 1, 2]] * 4


@pytest.mark.parametrize("policy", ["abort", "drop"])
def test_a_node_that_never_comes_ends_the_run_or_is_left_out(tmp_path, monkeypatch, policy):
    deployed = Deployed(tmp_path, "fedavg", wait=0.05, on_failure=policy)
    monkeypatch.setattr(LocalGrid, "get_node_ids", lambda grid: [50, 52])
    if policy == "abort":
        with pytest.raises(RunError, match=r"^no node is client 1 after 0.05 s"):
            deployed.lead()
    else:
        deployed.lead()
        assert [sorted(event["clients"]) for event in deployed.log] == [[0, 2]] * 4


def test_a_finished_run_is_left_alone(tmp_path):
    deployed = Deployed(tmp_path, "fedavg")
    deployed.lead()
    grid = deployed.grid()
    lead(grid, deployed.setup)
    assert not grid.pushed


def test_another_run_does_not_go_on_in_the_folder(tmp_path):
    deployed = Deployed(tmp_path, "fedavg")
    deployed.lead()
    with pytest.raises(InputError, match="was started with seed = 2, now it is 3"):
        lead(deployed.grid(), deployed.setup.model_copy(update={"seed": 3}))
    with pytest.raises(InputError, match="another recipe"):
        lead(deployed.grid(), deployed.setup.model_copy(update={"recipe": recipe_of("fedprox").to_yaml()}))


# -- clients that fail -----------------------------------------------------------------------------------------------


def failing(times):
    """Return what spoils client 1's reply of round 2 so often."""
    left = [times]

    def spoil(client, reply):
        if client == 1 and reply.metadata.group_id == "2" and left[0]:
            left[0] -= 1
            return Message(Error(2, "is on fire"), reply_to=reply)
        return reply

    return spoil


def test_abort_names_the_client_and_keeps_what_was_done(tmp_path):
    deployed = Deployed(tmp_path, "fedavg")
    deployed.spoil = failing(1)
    with pytest.raises(RunError, match=r"^round 2: client 1 is on fire; go on without it: "):
        deployed.lead()
    assert [event["round"] for event in deployed.log] == [1]
    assert np.abs(deployed.lead() - deployed.plain()).max() <= 1e-6
    assert [event["round"] for event in deployed.log] == [1, 2, 3, 4]


def test_drop_leaves_the_client_out_of_the_round(tmp_path):
    deployed = Deployed(tmp_path, "scaffold", on_failure="drop")
    deployed.spoil = failing(9)
    deployed.lead()
    assert [event["lost"] for event in deployed.log] == [[], [1], [], []]
    assert "round 2: client 1 is on fire" in Run.at(tmp_path / "run").folder.joinpath("metrics.jsonl").read_text()


def test_retry_asks_once_more(tmp_path):
    deployed = Deployed(tmp_path, "scaffold", on_failure="retry")
    deployed.spoil = failing(1)
    assert np.abs(deployed.lead() - deployed.plain()).max() <= 1e-6
    assert [event["lost"] for event in deployed.log] == [[]] * 4


def test_retry_then_leaves_the_client_out(tmp_path):
    deployed = Deployed(tmp_path, "fedavg", on_failure="retry")
    deployed.spoil = failing(2)
    deployed.lead()
    assert [event["lost"] for event in deployed.log] == [[], [1], [], []]


def test_a_round_without_answers_stops_the_run_and_keeps_it(tmp_path):
    deployed = Deployed(tmp_path, "fedavg", on_failure="drop")
    deployed.spoil = lambda client, reply: (
        Message(Error(2, "is asleep"), reply_to=reply)
        if reply.metadata.group_id == "3" and reply.metadata.message_type == "train"
        else reply
    )
    with pytest.raises(RunError, match=r"^round 3: no client answered \(is asleep\)"):
        deployed.lead()
    deployed.spoil = lambda client, reply: reply
    assert np.abs(deployed.lead() - deployed.plain()).max() <= 1e-6


def test_privacy_is_part_of_what_was_asked(tmp_path):
    setup = Deployed(tmp_path, "fedavg").recipe.with_settings(["weight=uniform"])
    deployed = Deployed(tmp_path, "fedavg")
    deployed.setup = deployed.setup.model_copy(update={"recipe": setup.to_yaml()})
    lead(deployed.grid(), deployed.setup, CentralPrivacy(1e-12, 1e6))
    with pytest.raises(InputError, match="other privacy|privacy ="):
        lead(deployed.grid(), deployed.setup)
