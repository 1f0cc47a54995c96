"""Worker processes: the same numbers as one process, and clients that die or answer late."""

import os
import time

import numpy as np
import pytest

from harmonia.core.errors import InputError, RunError
from harmonia.federate.clients import Clients
from harmonia.federate.engine import federate

pytestmark = pytest.mark.slow


def run(data, recipe="fedavg", *, out, **more):
    settings = ("training.batch=16", "training.learning_rate=0.1")
    given = {"clients": 9, "partition": "dirichlet:1.0", "rounds": 3, "model": "mlp:6", "personal": False}
    return federate(data, recipe, settings=settings, out=out, **{**given, "workers": 2, **more})


@pytest.fixture
def one_by_one(monkeypatch):
    """One client per pass, so that equal means equal to the last bit."""
    monkeypatch.setattr("harmonia.federate.engines.together.TRIED", (1,))


@pytest.mark.parametrize("recipe", ["fedmr", "scaffold", "fedskip", "fedper"])
def test_worker_processes_do_what_one_process_does(labelled, tmp_path, recipe, one_by_one):
    one = run(labelled, recipe, out=tmp_path / "loop", engine="loop", personal=True)
    other = run(labelled, recipe, out=tmp_path / "p", engine="processes", personal=True)
    np.testing.assert_array_equal(one.model.vector, other.model.vector)
    assert one.summary["personal"] == other.summary["personal"]


@pytest.mark.parametrize("recipe", ["fedavg", "fedlesam-s"])
def test_workers_train_several_clients_in_one_pass(labelled, tmp_path, recipe, monkeypatch):
    one = run(labelled, recipe, out=tmp_path / "loop", engine="loop")
    monkeypatch.setattr("harmonia.federate.engines.together.TRIED", (4,))
    other = run(labelled, recipe, out=tmp_path / "p", engine="processes")
    np.testing.assert_allclose(one.model.vector, other.model.vector, atol=1e-5)


class Mortal(Clients):
    """Client 3 takes its process with it in round 2."""

    def fit(self, jobs, kept):
        if jobs[0].round == 2 and 3 in [job.client for job in jobs]:
            os._exit(1)
        return super().fit(jobs, kept)


class Slow(Clients):
    """Client 3 does not come to an end in round 2."""

    def fit(self, jobs, kept):
        if jobs[0].round == 2 and 3 in [job.client for job in jobs]:
            time.sleep(600)
        return super().fit(jobs, kept)


def test_the_client_at_which_a_process_dies_is_found_and_no_other_is_lost(labelled, tmp_path, monkeypatch, one_by_one):
    monkeypatch.setattr("harmonia.federate.rounds.Clients", Mortal)
    with pytest.raises(RunError, match="round 2: client 3 did not answer: its process died; go on without it"):
        run(labelled, out=tmp_path / "r", engine="processes")
    found = run(labelled, out=tmp_path / "r", engine="processes", on_failure="drop", resume=True)
    assert [row["lost"] for row in found.summary["history"]] == [[], [3], []]


def test_a_client_that_answers_late_is_lost(labelled, tmp_path, monkeypatch, one_by_one):
    monkeypatch.setattr("harmonia.federate.rounds.Clients", Slow)
    found = run(labelled, out=tmp_path / "r", engine="processes", on_failure="drop", timeout=4.0)
    first, second, third = (row["lost"] for row in found.summary["history"])
    assert first == third == [] and 3 in second and len(second) < 9
    assert "round 2: client 3 did not answer within 4 s" in found.summary["warnings"]


def test_a_time_limit_wants_processes(labelled, tmp_path):
    with pytest.raises(InputError, match="--timeout 4 with --engine loop: .* take --engine processes or flower"):
        run(labelled, out=tmp_path / "r", engine="loop", timeout=4.0)
    with pytest.raises(InputError, match="--timeout 0: more than 0 seconds"):
        run(labelled, out=tmp_path / "r", timeout=0.0)
