"""Flower's engine computes what the plain loop computes, whatever goes wrong on the way."""

from __future__ import annotations

import pytest

pytest.importorskip("flwr")

from dataclasses import replace

import numpy as np
import torch
from flwr.app import Array, Error, Message
from tests.federate.flower.federation import Federation, LocalGrid, recipe_of

from harmonia.core.errors import RunError
from harmonia.federate.flower.client_app import client_app
from harmonia.federate.messages import Lost
from harmonia.federate.recipes import BOOK


def led(federation, engine, rounds, active=None):
    """Return the model after each round, and what the rounds were."""
    coordinator, models, facts = federation.coordinator(rounds, active), [], []
    for _ in range(rounds):
        facts.append(federation.take(coordinator, engine))
        models.append(coordinator.model.clone())
    return torch.stack(models), facts


@pytest.mark.parametrize("name", BOOK.names())
def test_every_recipe_is_what_it_is_in_the_plain_loop(name):
    federation = Federation(recipe_of(name))
    found, facts = led(federation, federation.engine(LocalGrid.of(federation)), 4, active=3)
    assert not any(round.lost for round in facts)
    assert torch.allclose(found, federation.in_process(4, active=3), atol=1e-6, rtol=0)


def test_relays_send_each_node_its_own_model():
    federation = Federation(recipe_of("fedskip"))
    grid = LocalGrid.of(federation)
    led(federation, federation.engine(grid), 2)
    jobs = [message for message in grid.pushed if message.metadata.message_type == "train"]
    models = [message.content.array_records["model"]["model"].data for message in jobs]
    assert len(set(models[:4])) == 1 and len(set(models[4:])) == 4


def test_clients_keep_flat_arrays_in_flowers_state():
    federation = Federation(recipe_of("scaffold"))
    grid = LocalGrid.of(federation)
    led(federation, federation.engine(grid), 3)
    for context in grid.contexts.values():
        assert set(context.state) == {"kept.2", "kept.3"}
        assert [a.shape for a in context.state["kept.3"].values()] == [(federation.plan.sizes.shared,)]


def test_whoever_keeps_nothing_has_no_state():
    federation = Federation(recipe_of("fedavg"))
    grid = LocalGrid.of(federation)
    led(federation, federation.engine(grid), 2)
    assert all(not context.state for context in grid.contexts.values())


# -- what goes wrong -------------------------------------------------------------------------------------------------


def lost_with(spoil, name="fedavg", **settings):
    federation = Federation(recipe_of(name))
    grid = LocalGrid.of(federation)
    grid.spoil = lambda client, reply: reply if client != 2 else spoil(reply)
    engine = federation.engine(grid, **settings)
    engine.nodes.grid = LocalGrid.of(federation)  # who they are, they say
    jobs = federation.coordinator(2).jobs()
    return {answer.client: answer for answer in engine.run(jobs)}


def with_model(value):
    def spoil(reply):
        reply.content.array_records["model"]["model"] = Array(value)
        return reply

    return spoil


def failed(reason):
    return lambda reply: Message(Error(7, reason), reply_to=reply)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda reply: None, "did not answer within 0.05 s"),
        (with_model(np.full(59, np.nan, np.float32)), "sent 'model' with numbers that are not finite"),
        (with_model(np.zeros(7, np.float32)), "sent 'model' of shape (7,), not (59,)"),
        (failed("<class 'OSError'>:<'disk\n full'>"), "<class 'OSError'>:<'disk full'>"),
        (failed(None), "failed and did not say why"),
    ],
)
def test_a_client_that_fails_is_named_and_the_others_go_on(spoil, said):
    answers = lost_with(spoil, timeout=0.05)
    assert [c for c, answer in answers.items() if isinstance(answer, Lost)] == [2]
    assert answers[2].why == said


def test_an_error_of_a_client_is_one_line():
    federation = Federation(recipe_of("fedavg"))
    federation.rows[1] = np.arange(0)
    grid = LocalGrid.of(federation)
    answers = {a.client: a for a in federation.engine(grid).run(federation.coordinator(1).jobs())}
    assert isinstance(answers[1], Lost) and "\n" not in answers[1].why
    assert sum(isinstance(a, Lost) for a in answers.values()) == 1


def test_a_node_that_is_gone_is_named():
    federation = Federation(recipe_of("fedavg"))
    grid = LocalGrid.of(federation)
    engine, coordinator = federation.engine(grid), federation.coordinator(2)
    list(engine.run(coordinator.jobs()))
    del grid.settings[1000 - 7 * 2]
    answers = {answer.client: answer for answer in engine.run(coordinator.jobs())}
    assert answers[2].why.startswith("has no node") and sum(isinstance(a, Lost) for a in answers.values()) == 1


def test_a_client_whose_node_comes_back_under_another_number_goes_on():
    federation = Federation(recipe_of("fedavg"))
    grid = LocalGrid.of(federation)
    engine, coordinator = federation.engine(grid), federation.coordinator(3)
    federation.take(coordinator, engine)
    old = 1000 - 7 * 2
    grid.settings[5], grid.contexts[5] = grid.settings.pop(old), grid.contexts.pop(old)
    assert not federation.take(coordinator, engine).lost
    assert torch.equal(coordinator.model, federation.in_process(3)[1])


def test_a_lost_reply_leaves_no_trace_in_what_its_client_keeps():
    federation = Federation(recipe_of("scaffold"))
    grid, rounds = LocalGrid.of(federation), 3
    coordinator, engine = federation.coordinator(rounds), federation.engine(grid)
    dropped = {(2, 1)}  # round, client: trained, and its reply never came

    def spoil(client, reply):
        missing = reply.has_content() and (reply.metadata.group_id, client) in {(str(r), c) for r, c in dropped}
        return Message(Error(1, "gone"), reply_to=reply) if missing else reply

    grid.spoil = spoil
    for _ in range(rounds):
        federation.take(coordinator, engine)

    clients, wanted, kept = federation.clients(), federation.coordinator(rounds), {}
    for _ in range(rounds):
        replies = []
        for job in wanted.jobs():
            if (job.round, job.client) not in dropped:
                ((reply, kept[job.client]),) = clients.fit([job], [kept.get(job.client)])
                replies.append(reply)
        wanted.take(replies)
    assert torch.equal(coordinator.model, wanted.model)
    assert engine.known == {0: 3, 1: 3, 2: 3, 3: 3}


def test_the_same_job_twice_gives_the_same_reply():
    federation = Federation(recipe_of("scaffold"))
    engine, coordinator = federation.engine(LocalGrid.of(federation)), federation.coordinator(3)
    federation.take(coordinator, engine)
    jobs = coordinator.jobs()
    first = list(engine.run(jobs))
    for one, other in zip(first, engine.run(jobs), strict=True):
        assert torch.equal(one.model, other.model)
        assert torch.equal(one.up["control_change"], other.up["control_change"])


def test_what_is_only_judged_leaves_no_trace():
    federation = Federation(recipe_of("scaffold"))
    grid = LocalGrid.of(federation)
    engine, coordinator = federation.engine(grid), federation.coordinator(3)
    federation.take(coordinator, engine)
    before = {node: sorted(context.state) for node, context in grid.contexts.items()}
    assert len(list(engine.run([replace(job, judge=True) for job in coordinator.jobs()]))) == 4
    assert {node: sorted(context.state) for node, context in grid.contexts.items()} == before


def test_a_client_that_lost_what_it_kept_says_so():
    federation = Federation(recipe_of("scaffold"))
    grid = LocalGrid.of(federation)
    engine, coordinator = federation.engine(grid), federation.coordinator(3)
    federation.take(coordinator, engine)
    grid.contexts[1000].state.clear()
    (lost,) = [answer for answer in engine.run(coordinator.jobs()) if isinstance(answer, Lost)]
    assert (lost.client, lost.why[:41]) == (0, "has lost what it kept after round 1; star")


def test_a_grid_that_ended_ends_the_wait():
    federation = Federation(recipe_of("fedavg"))
    grid, ended = LocalGrid.of(federation), []

    def alive():
        if ended:
            raise RunError("the simulation ended")

    engine = federation.engine(grid, alive=alive)
    engine.nodes.wait(5)
    ended.append(True)
    with pytest.raises(RunError, match="the simulation ended"):
        list(engine.run(federation.coordinator(1).jobs()))


# -- who is who ------------------------------------------------------------------------------------------------------


def grid_with(*numbers):
    federation = Federation(recipe_of("fedavg"))
    settings = {100 + i: {} if number is None else {"partition-id": number} for i, number in enumerate(numbers)}
    return federation, LocalGrid(client_app(federation.load), settings)


def test_nodes_are_known_by_their_partition_id():
    federation, grid = grid_with(3, 1, 0, 2)
    nodes = federation.engine(grid).nodes
    nodes.wait(5)
    assert [nodes.of(client) for client in range(4)] == [102, 101, 103, 100]


def test_nodes_are_asked_once():
    federation, grid = grid_with(3, 1, 0, 2)
    led(federation, federation.engine(grid), 3)
    kinds = [message.metadata.message_type for message in grid.pushed]
    assert kinds.count("query") == 4 and kinds.count("train") == 12


def test_nodes_that_are_no_client_of_this_run_are_left_alone():
    federation, grid = grid_with(0, 1, 2, 3, 4, None)
    nodes = federation.engine(grid).nodes
    nodes.wait(5)
    led(federation, federation.engine(grid), 1)
    assert not nodes.missing()


def test_missing_clients_are_named():
    federation, grid = grid_with(0, 2)
    with pytest.raises(
        RunError, match=r"^no node is client 1, 3 after 0.01 s; start 4 nodes with partition-id=0 to 3$"
    ):
        federation.engine(grid).nodes.wait(0.01)


def test_two_nodes_that_are_the_same_client_are_named():
    federation, grid = grid_with(0, 1, 1, 2)
    with pytest.raises(RunError, match=r"^nodes 101 and 102 both are client 1; give each its own partition-id$"):
        federation.engine(grid).nodes.refresh()


def test_a_job_for_somebody_else_is_refused():
    federation, grid = grid_with(0, 1, 2, 3)
    engine = federation.engine(grid)
    engine.nodes.refresh()
    engine.nodes._client[100], engine.nodes._client[101] = 1, 0
    lost = [answer.why for answer in engine.run(federation.coordinator(1).jobs()) if isinstance(answer, Lost)]
    assert sorted(lost) == [f"is client {a} and was sent the job of client {1 - a}" for a in (0, 1)]
