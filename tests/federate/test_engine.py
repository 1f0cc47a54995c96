"""A run: engines agree, clients that fail are named and handled, an interruption changes nothing."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from harmonia.core import files
from harmonia.core.errors import InputError, RunError
from harmonia.data.partitions import parse_partition
from harmonia.federate.classifier import load
from harmonia.federate.clients import Clients
from harmonia.federate.engine import architecture, federate
from harmonia.federate.messages import Lost
from harmonia.federate.population import Population

QUICK = {"clients": 4, "partition": "dirichlet:1.0", "rounds": 3, "model": "mlp:6"}


def run(data, recipe="fedavg", *settings, out, **more):
    settings = ("training.batch=16", "training.learning_rate=0.1", *settings)
    return federate(data, recipe, settings=settings, out=out, **{**QUICK, "engine": "loop", **more})


@pytest.mark.parametrize("recipe", ["fedavg", "scaffold", "fedlesam", "fedmr", "fedskip", "fedper"])
@pytest.mark.parametrize("engine", ["vmap", "auto"])
def test_engines_agree(labelled, tmp_path, recipe, engine):
    one = run(labelled, recipe, out=tmp_path / "loop", personal=False)
    other = run(labelled, recipe, out=tmp_path / engine, engine=engine, personal=False)
    np.testing.assert_allclose(one.model.vector, other.model.vector, atol=1e-5)


def test_a_federation_of_one_client_is_central_training(labelled, tmp_path):
    found = run(labelled, "fedavg", "training.batch=null", clients=1, partition="iid", out=tmp_path / "r")
    vector = torch.from_numpy(found.model.vector)
    network = torch.nn.Sequential(torch.nn.Linear(6, 6), torch.nn.ReLU(), torch.nn.Linear(6, 4))
    # a run whose steps have no length leaves the first weights
    start = run(labelled, "fedavg", "training.learning_rate=1e-30", rounds=1, out=tmp_path / "s").model.vector
    torch.nn.utils.vector_to_parameters(torch.from_numpy(start.copy()), network.parameters())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    x, y = torch.from_numpy(labelled.train.inputs), torch.from_numpy(labelled.train.labels)
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
    torch.testing.assert_close(
        vector, torch.nn.utils.parameters_to_vector(network.parameters()).detach(), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("recipe", ["feddyn", "fedskip", "fedadam", "fedmr", "fedlesam-s"])
@pytest.mark.parametrize("after", [1, 2])
def test_a_run_stopped_inside_a_round_goes_on_to_the_same_result(labelled, tmp_path, recipe, after, monkeypatch):
    whole = run(labelled, recipe, out=tmp_path / "whole", active=0.5, rounds=4)
    fit, calls = Clients.fit, []

    def stop(self, jobs, kept):
        calls.append(jobs[0].round)
        if calls.count(after + 1) == 2:  # the second client of the round after
            raise KeyboardInterrupt
        return fit(self, jobs, kept)

    monkeypatch.setattr(Clients, "fit", stop)
    with pytest.raises(KeyboardInterrupt):
        run(labelled, recipe, out=tmp_path / "r", active=0.5, rounds=4)
    monkeypatch.undo()
    again = run(labelled, recipe, out=tmp_path / "r", active=0.5, rounds=4, resume=True)
    assert np.array_equal(whole.model.vector, again.model.vector)
    assert whole.rounds.drop("client_seconds").equals(again.rounds.drop("client_seconds"))
    assert whole.summary["personal"] == again.summary["personal"]


# -- clients that fail ----------------------------------------------------------------------------------------------


def spoilt(change):
    """Return ``fit`` with the reply of client 2 changed in round 2, the first time only."""
    fit, done = Clients.fit, []

    def fitted(self, jobs, kept):
        found = fit(self, jobs, kept)
        if (jobs[0].round, jobs[0].client) == (2, 2) and not done:
            done.append(True)
            return [(change(reply), held) for reply, held in found]
        return found

    return fitted


SPOILT = {
    "not finite": lambda reply: replace(reply, model=reply.model * float("nan")),
    "sent .3,. weights": lambda reply: replace(reply, model=reply.model[:3]),
    "says it has 0 examples": lambda reply: replace(reply, examples=0),
}


@pytest.mark.parametrize("why", SPOILT)
def test_what_a_client_sends_is_checked_and_the_client_named(labelled, tmp_path, monkeypatch, why):
    monkeypatch.setattr(Clients, "fit", spoilt(SPOILT[why]))
    with pytest.raises(RunError, match=f"round 2: client 2 .*{why}.*--resume --on-failure drop"):
        run(labelled, out=tmp_path / "r")
    monkeypatch.undo()
    again = run(labelled, out=tmp_path / "r", on_failure="drop", resume=True)  # what was done is not lost
    assert np.array_equal(again.model.vector, run(labelled, out=tmp_path / "whole").model.vector)


def test_a_client_can_be_dropped_for_the_round(labelled, tmp_path, monkeypatch):
    monkeypatch.setattr(Clients, "fit", spoilt(SPOILT["not finite"]))
    found = run(labelled, out=tmp_path / "r", on_failure="drop")
    lost = [row["lost"] for row in found.summary["history"]]
    assert lost == [[], [2], []] and np.isfinite(found.model.vector).all()
    assert "round 2: client 2 sent weights that are not finite" in found.summary["warnings"]


def test_what_a_client_keeps_is_kept_with_a_usable_answer_only(labelled, tmp_path, monkeypatch):
    monkeypatch.setattr(Clients, "fit", spoilt(SPOILT["not finite"]))
    run(labelled, "scaffold", out=tmp_path / "r", rounds=2, on_failure="drop")
    assert sorted(path.name for path in (tmp_path / "r" / "state" / "clients").iterdir()) == [
        "0-2.safetensors",
        "1-2.safetensors",
        "2-1.safetensors",
        "3-2.safetensors",
    ]


def test_a_client_can_be_asked_once_more(labelled, tmp_path, monkeypatch):
    whole = run(labelled, out=tmp_path / "whole")
    monkeypatch.setattr(Clients, "fit", spoilt(SPOILT["not finite"]))
    again = run(labelled, out=tmp_path / "r", on_failure="retry")
    assert np.array_equal(whole.model.vector, again.model.vector)


def test_a_round_in_which_nobody_answers_ends_the_run(labelled, tmp_path, monkeypatch):
    def nobody(engine, jobs):
        return iter([Lost(job.slot, job.client, job.round, "did not answer") for job in jobs])

    monkeypatch.setattr("harmonia.federate.engines.in_process.InProcess.run", nobody)
    with pytest.raises(RunError, match=r"round 1: no client answered \(did not answer\)"):
        run(labelled, out=tmp_path / "r", on_failure="drop")


# -- what comes out --------------------------------------------------------------------------------------------------


def test_the_model_loads_and_predicts(labelled, tmp_path):
    found = run(labelled, out=tmp_path / "r", rounds=8)
    model = load(tmp_path / "r")
    right = (model.predict(labelled.test.inputs) == labelled.test.labels).mean()
    assert right == pytest.approx(found.summary["final"]["accuracy"]) and right > 0.7
    with pytest.raises(InputError, match=r"an example has shape \(3,\); the model reads \(6,\)"):
        model.predict(np.zeros((2, 3), np.float32))
    with pytest.raises(InputError, match="holds no model"):
        load(tmp_path)


@pytest.mark.parametrize("recipe", ["fedper", "fedgela"])
def test_a_client_has_a_model_of_its_own(labelled, tmp_path, recipe):
    """Without local training, a client's model is the shared one with its own head or classes."""
    found = run(labelled, recipe, "training.learning_rate=1e-30", out=tmp_path / "r", rounds=2)
    population = Population.of(labelled.in_order(), parse_partition(QUICK["partition"]), 4, 0)
    for client, accuracy in enumerate(found.summary["personal"]["clients"]):
        rows, test = population.test[client], population.data.test
        said = load(tmp_path / "r", client=client).predict(test.inputs[rows])
        assert (said == test.labels[rows]).mean() == pytest.approx(accuracy, abs=1e-6)
    with pytest.raises(InputError, match="client 9: .* has clients 0 to 3"):
        load(tmp_path / "r", client=9)
    run(labelled, out=tmp_path / "plain")
    with pytest.raises(InputError, match="the model is the same for every client; leave out client=1"):
        load(tmp_path / "plain", client=1)


def test_scores_are_those_of_a_plain_count(labelled, tmp_path):
    found = run(labelled, out=tmp_path / "r")
    said = found.model.predict(labelled.test.inputs)
    truth = labelled.test.labels
    per_class = [(said[truth == c] == c).mean() for c in range(4)]
    final = found.summary["final"]
    assert final["per_class"] == pytest.approx(per_class)
    assert final["balanced_accuracy"] == pytest.approx(np.mean(per_class))


def test_bytes_are_those_of_the_messages(labelled, tmp_path):
    found = run(labelled, "scaffold", out=tmp_path / "r", active=0.5)
    size = found.summary["parameters"]["shared"]
    assert size == 6 * 6 + 6 + 6 * 4 + 4
    assert found.rounds["bytes_down"].to_list() == [2 * 2 * 4 * size] * 3  # two clients, the model and the control


def test_a_head_of_each_client_leaves_no_global_score(labelled, tmp_path):
    summary = run(labelled, "fedper", out=tmp_path / "r").summary
    assert summary["final"] is None and summary["last3"] is None
    assert 0 <= summary["personal"]["mean"] <= 1 and summary["parameters"]["private"] == 6 * 4 + 4


def test_a_relay_counts_its_averages_and_ends_with_one(labelled, tmp_path):
    summary = run(labelled, "fedskip", "schedule.period=3", rounds=5, out=tmp_path / "r").summary
    assert [row["averaged"] for row in summary["history"]] == [False, False, True, False, True]
    assert summary["averages"] == 2 and [row["accuracy"] is None for row in summary["history"]] == [
        True,
        True,
        False,
        True,
        False,
    ]


def test_inactive_clients_that_keep_nothing_leave_nothing(labelled, tmp_path):
    run(labelled, out=tmp_path / "r", active=0.25)
    assert not (tmp_path / "r" / "state" / "clients").exists()


def test_a_summary_is_json(labelled, tmp_path):
    found = run(labelled, "fedmr", out=tmp_path / "r")
    text = (found.folder / "result" / "summary.json").read_text()
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert files.read_json(found.folder / "run.json")["status"] == "finished"


# -- what is asked ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        ({"rounds": 0}, "--rounds 0: a number of at least 1"),
        ({"active": 0.0}, "--active 0.0: a share above 0"),
        ({"active": 1.5}, "--active 1.5: a share above 0"),
        ({"engine": "cloud"}, "--engine cloud: one of auto, loop"),
        ({"on_failure": "ignore"}, "--on-failure ignore: one of abort, drop, retry"),
        ({"model": "cn"}, "--model cn.*no part 'cn'; did you mean 'cnn'"),
        ({"model": "cnn"}, r"model=cnn reads images .* not \(6,\)"),
        ({"partition": "dirichlt:1"}, "no partition 'dirichlt'; did you mean 'dirichlet'"),
        ({"partition": "pcdd:1", "clients": 3}, "pcdd"),
        ({"recipe": "fedavgg"}, "no recipe 'fedavgg' .*did you mean 'fedavg'"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(labelled, tmp_path, ask, said):
    recipe = ask.pop("recipe", "fedavg")
    with pytest.raises(InputError, match=said) as told:
        run(labelled, recipe, out=tmp_path / "r", **ask)
    assert "\n" not in str(told.value) and not (tmp_path / "r" / "run.json").exists()


def test_running_statistics_are_refused():
    from harmonia.federate.head import LinearHead
    from harmonia.federate.model import ClientModel

    network = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.BatchNorm1d(5))
    with pytest.raises(InputError, match="running statistics .* use GroupNorm"):
        ClientModel(network, LinearHead(), 4, 5, 0)


def test_networks_by_name():
    assert architecture("mlp:9").features == 9 and architecture("cnn").kind_name() == "cnn"
