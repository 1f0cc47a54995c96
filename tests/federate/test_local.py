"""Local training: one client or many in one pass, and what each step does."""

import numpy as np
import pytest
import torch

from harmonia.federate.clients import Clients
from harmonia.federate.messages import Job
from harmonia.federate.model import ClientModel
from harmonia.federate.planner import Plan
from harmonia.federate.recipes import BOOK
from harmonia.models.classifiers import MLP

ROWS = {0: np.arange(0, 60), 1: np.arange(60, 97), 2: np.arange(97, 103), 3: np.arange(103, 240)}


def clients(labelled, name, *settings):
    recipe = BOOK.get(name).with_settings([*settings, "training.batch=16", "training.learning_rate=0.1"])
    torch.manual_seed(0)
    model = ClientModel(MLP(features=5).build((6,)), recipe.head, 4, 5, 0)
    plan = Plan.of(recipe, model.sizes)
    inputs, labels = torch.from_numpy(labelled.train.inputs), torch.from_numpy(labelled.train.labels)
    return Clients(model, plan.recipe, plan, inputs, labels, ROWS, 0)


def jobs(made, round=1, sent=None):
    vector = made.first[made.model.shared]
    sent = sent if sent is not None else first_messages(made)
    return [Job(slot, client, round, vector, sent) for slot, client in enumerate(ROWS)]


def first_messages(made):
    recipe, vector = made.plan.recipe, made.first[made.model.shared]
    rules = (recipe.loss.server(), recipe.perturb.server(), recipe.drift.server(len(ROWS)))
    return {name: value for rule in rules if rule is not None for name, value in rule.down(vector).items()}


@pytest.mark.parametrize("name", BOOK.names())
def test_many_clients_in_one_pass_are_each_alone(labelled, name):
    """Clients of unequal size, padded, give the weights and messages of the plain loop."""
    made = clients(labelled, name)
    together = made.fit(jobs(made), [None] * 4)
    for (reply, kept), job in zip(together, jobs(made), strict=True):
        ((alone, own),) = made.fit([job], [None])
        torch.testing.assert_close(reply.model, alone.model, atol=1e-5, rtol=1e-5)
        assert (reply.steps, reply.examples) == (alone.steps, alone.examples)
        assert reply.up.keys() == alone.up.keys() and kept.keys() == own.keys()
        for key, value in reply.up.items():
            torch.testing.assert_close(value, alone.up[key], atol=1e-4, rtol=1e-4)
        for key, value in kept.items():
            np.testing.assert_allclose(value, own[key], atol=1e-4, rtol=1e-4)


def test_a_plain_client_is_plain_stochastic_gradient_descent(labelled):
    made = clients(labelled, "fedavg", "training.momentum=0.9", "training.weight_decay=0.01")
    ((reply, kept),) = made.fit(jobs(made)[:1], [None])
    network = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 4))
    torch.nn.utils.vector_to_parameters(made.first, network.parameters())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    from harmonia.federate.batches import order_of

    for rows in order_of(ROWS[0], made.recipe.training, 0, 1, 0):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(made.inputs[rows]), made.labels[rows]).backward()
        optimizer.step()
    torch.testing.assert_close(reply.model, torch.nn.utils.parameters_to_vector(network.parameters()).detach())
    assert kept == {} and reply.examples == 60 and reply.steps == 4


def test_the_gradient_is_clipped_with_its_correction(labelled):
    made = clients(labelled, "fedprox", "drift.mu=5", "training.clip=0.01")
    ((reply, _),) = made.fit(jobs(made)[:1], [None])
    assert reply.facts["drift"] <= 0.1 * 0.01 * reply.steps * (1 + 1e-5)


def test_a_frozen_head_is_neither_trained_nor_sent(labelled):
    made = clients(labelled, "fedbabu")
    ((reply, kept),) = made.fit(jobs(made)[:1], [None])
    assert len(reply.model) == made.model.network.size < made.model.size and kept == {}


def test_a_private_head_stays_with_its_client(labelled):
    made = clients(labelled, "fedper")
    ((reply, kept),) = made.fit(jobs(made)[:1], [None])
    assert len(reply.model) == made.model.network.size and list(kept) == ["head"]
    assert not np.allclose(kept["head"], made.first[made.model.network.size :].numpy())
    again = made.stack(jobs(made, 2)[:1], [kept], _one(made))
    assert np.array_equal(again.received[0, made.model.network.size :].numpy(), kept["head"])


def test_fedrep_trains_the_head_first_and_then_the_backbone_alone(labelled):
    made, joint = clients(labelled, "fedrep", "training.steps=2"), clients(labelled, "fedper", "training.steps=1")
    ((reply, kept),) = made.fit(jobs(made)[:1], [None])
    ((_, after_one),) = joint.fit(jobs(joint)[:1], [None])
    # the first step moves the head as a joint step would, the second leaves it
    assert np.array_equal(kept["head"], after_one["head"])
    assert not torch.equal(reply.model, made.first[made.model.shared])


def _one(made):
    from harmonia.federate.batches import Batches, order_of

    return Batches.of([order_of(ROWS[0], made.recipe.training, 0, 2, 0)])


def test_what_rests_gathers_no_velocity(labelled):
    """A backbone that rested while the head was trained begins without momentum."""
    settings = ("training.momentum=0.9", "training.steps=6", "training.batch=null", "head.head_share=0.83")
    made = clients(labelled, "fedrep", *settings, "training.clip=0.05")
    made.recipe = made.recipe.model_copy(update={"training": made.recipe.training.model_copy(update={"batch": None})})
    ((reply, _),) = made.fit(jobs(made)[:1], [None])
    moved = (reply.model - made.first[made.model.shared]).norm()
    assert moved <= 0.1 * 0.05 * (1 + 1e-5)  # one step of one clipped gradient
