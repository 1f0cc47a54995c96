"""The settings of a run, as Flower carries them, and what nodes make of them."""

from __future__ import annotations

import pytest

pytest.importorskip("flwr")

import numpy as np
import torch
from flwr.app import Context, RecordDict
from tests.federate.flower.federation import recipe_of

from harmonia.core.errors import InputError
from harmonia.data.labelled import open_labelled
from harmonia.data.partitions import parse_partition
from harmonia.federate.engine import examples_of
from harmonia.federate.flower.setup import Setup, folder_of, load
from harmonia.federate.population import Population
from harmonia.models.classifiers import MLP


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two hundred vectors of three classes in a file."""
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 200)
    file = tmp_path_factory.mktemp("data") / "vectors.npz"
    np.savez(file, x=(random.normal(size=(200, 5)) + y[:, None]).astype(np.float32), y=y)
    return file


def setup_of(place, **changes):
    given = {"data": str(place), "partition": "dirichlet:0.5", "clients": 3, "rounds": 3, "out": "/runs/one", "seed": 2}
    return Setup.of(recipe_of("fedavg"), MLP(features=4), open_labelled(place), **{**given, **changes})


def context_of(setup, client, **node):
    return Context(1, 2, {"partition-id": client, **node}, RecordDict(), setup.config())


def test_settings_that_do_not_fit_are_told_by_name(place):
    with pytest.raises(InputError, match="deployment: timeout: input should be greater than 0"):
        setup_of(place, timeout=-1.0)


def test_settings_survive_flowers_flat_values(place):
    setup = setup_of(place, timeout=5.0, on_failure="retry")
    assert all(isinstance(value, str | int | float) for value in setup.config().values())
    assert "on-failure" in setup.config() and Setup.read(setup.config()) == setup
    assert setup.chosen() == recipe_of("fedavg") and setup.backbone() == MLP(features=4)
    assert setup.example_shape() == (5,) and setup.class_names() == ("0", "1", "2")


def test_nodes_find_the_data_from_wherever_they_run(place, monkeypatch):
    monkeypatch.chdir(place.parent)
    assert setup_of(place, data=place.name).data == str(place)
    assert setup_of(place, data="digits").data == "digits"


def test_a_whole_number_will_do_where_any_is_meant(place):
    assert Setup.read({**setup_of(place).config(), "active": 1, "timeout": 30}).timeout == 30.0


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("clients", 0, "run config: clients"),
        ("active", 1.5, "run config: active"),
        ("rounds", "three", "run config: rounds"),
        ("on-failure", "shrug", "run config: on-failure"),
        ("round", 3, "run config: round"),
    ],
)
def test_settings_that_do_not_fit_are_named(place, name, value, said):
    with pytest.raises(InputError) as error:
        Setup.read({**setup_of(place).config(), name: value})
    assert str(error.value).startswith(said)


def test_a_path_from_the_root_is_needed(place):
    with pytest.raises(InputError, match="out is runs/one; give a path from the root"):
        folder_of(setup_of(place, out="runs/one"))


@pytest.mark.parametrize("partition", ["dirichlet:0.5", "label-k:2", "feature-noise:0.3"])
def test_nodes_bring_exactly_the_examples_of_their_client(place, partition):
    setup = setup_of(place, partition=partition)
    whole = Population.of(examples_of(place, None), parse_partition(partition), 3, 2)
    for client, rows in enumerate(whole.train):
        found = load(context_of(setup, client), recipe_of("fedavg"), 2)
        assert torch.equal(found.inputs, torch.from_numpy(whole.data.train.inputs[rows]))
        assert torch.equal(found.labels, torch.from_numpy(whole.data.train.labels[rows]))
        assert found.rows[client].tolist() == list(range(len(rows)))


def test_all_nodes_start_from_the_same_weights(place):
    setup = setup_of(place)
    first = [load(context_of(setup, client), recipe_of("fedavg"), 2).first for client in range(2)]
    assert torch.equal(*first) and torch.equal(first[0], setup.model(recipe_of("fedavg")).initial())
    assert not torch.equal(first[0], setup_of(place, seed=3).model(recipe_of("fedavg")).initial())


def test_a_node_may_have_examples_of_its_own(place, tmp_path):
    x, y = np.ones((9, 5), np.float32) * np.arange(9)[:, None], np.arange(9) % 3
    np.savez(tmp_path / "own.npz", x=x, y=y)
    found = load(context_of(setup_of(place), 1, data=str(tmp_path / "own.npz")), recipe_of("fedavg"), 2)
    assert set(found.inputs[:, 0].tolist()) <= set(range(9)) and len(found.rows[1]) == len(found.inputs)


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (np.ones((9, 5), np.float32), np.arange(9) % 2, "has the classes"),
        (np.ones((9, 4), np.float32) * np.arange(9)[:, None], np.arange(9) % 3, "has shape (4,), not [5]"),
    ],
)
def test_own_examples_of_another_kind_are_refused(place, tmp_path, x, y, said):
    np.savez(tmp_path / "own.npz", x=x * np.arange(1, 10, dtype=np.float32)[:, None], y=y)
    with pytest.raises(InputError) as error:
        load(context_of(setup_of(place), 1, data=str(tmp_path / "own.npz")), recipe_of("fedavg"), 2)
    assert said in str(error.value)


@pytest.mark.parametrize("number", [None, -1, "2", True])
def test_a_node_must_say_which_client_it_is(place, number):
    context = context_of(setup_of(place), 0)
    context.node_config["partition-id"] = number
    with pytest.raises(InputError, match="partition-id"):
        load(context, recipe_of("fedavg"), 2)
