"""A small federation on random numbers, and a grid that runs a Flower app in this process."""

from __future__ import annotations

import uuid

import numpy as np
import torch
from flwr.app import Context, Error, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from harmonia.federate.clients import Clients
from harmonia.federate.coordinator import Coordinator
from harmonia.federate.failure import handled
from harmonia.federate.flower.client_app import client_app, client_of
from harmonia.federate.flower.engine import FlowerEngine
from harmonia.federate.judge import Exam, Judge
from harmonia.federate.model import ClientModel
from harmonia.federate.planner import Plan
from harmonia.federate.recipes import BOOK
from harmonia.federate.store import ClientStore

CLASSES, WIDTH, SEED = 4, 6, 3


def recipe_of(name, *settings):
    """Return a named recipe with settings."""
    return BOOK.get(name).with_settings(["training.learning_rate=0.1", "training.batch=8", *settings])


class Federation:
    """Four clients with random examples, unequal in number.

    Args:
        recipe: how they train.
        sizes: examples of each.
    """

    def __init__(self, recipe, sizes=(12, 20, 9, 16)):
        random = np.random.default_rng(SEED)
        count = sum(sizes)
        self.inputs = torch.from_numpy(random.normal(size=(count, WIDTH)).astype(np.float32))
        self.labels = torch.from_numpy(random.integers(0, CLASSES, count))
        ends = np.cumsum(sizes)
        self.rows = {c: np.arange(end - size, end) for c, (size, end) in enumerate(zip(sizes, ends, strict=True))}
        self.count = len(sizes)
        self.recipe = recipe
        self.plan = self.clients().plan

    def clients(self):
        """Return all clients with a model of their own."""
        torch.manual_seed(SEED)
        model = ClientModel(
            torch.nn.Sequential(torch.nn.Linear(WIDTH, 5), torch.nn.ReLU()), self.recipe.head, CLASSES, 5, SEED
        )
        plan = Plan.of(self.recipe, model.sizes)
        return Clients(model, plan.recipe, plan, self.inputs, self.labels, self.rows, SEED)

    def examined(self):
        """Return all clients, judged on the first half of what they train on; the last has nothing to be judged on."""
        clients = self.clients()
        rows = {c: rows[: len(rows) // 2 if c < self.count - 1 else 0] for c, rows in self.rows.items()}
        clients.exam = Exam(Judge(clients.model, self.inputs, self.labels), rows)
        return clients

    def coordinator(self, rounds, active=None):
        model = self.clients().model
        return Coordinator(self.plan, model.initial()[model.shared], self.count, active or self.count, rounds, SEED)

    def load(self, context, recipe, seed):
        """Bring one client with its own examples only."""
        rows = self.rows[client_of(context)]
        whole = self.clients()
        mine = {client_of(context): np.arange(len(rows))}
        return Clients(
            whole.model, recipe, Plan.of(recipe, whole.model.sizes), self.inputs[rows], self.labels[rows], mine, seed
        )

    def in_process(self, rounds, active=None):
        """Return the model after each round of the plain loop: (rounds, P)."""
        clients, coordinator, store = self.clients(), self.coordinator(rounds, active), ClientStore()
        found = []
        for _ in range(rounds):
            replies = []
            for job in coordinator.jobs():
                ((reply, kept),) = clients.fit([job], [store.get(job.client)])
                store.put(reply.client, reply.round, kept)
                replies.append(reply)
            coordinator.take(replies)
            found.append(coordinator.model.clone())
        return torch.stack(found)

    def take(self, coordinator, engine):
        """Let a coordinator take in a round's answers; whoever is lost is left out."""
        return coordinator.take(handled(engine, coordinator.jobs(), coordinator.model, "drop"))

    def engine(self, grid, **settings):
        return FlowerEngine(grid, self.plan, self.count, SEED, **{"known": {}, "poll": 0.001, **settings})


class LocalGrid:
    """Runs a client app for every message that is pushed, when its answer is first asked for.

    Args:
        app: of the clients.
        settings: node -> its settings, ``partition-id`` and others.
        config: of the run.

    Attributes:
        pushed: every message, in order.
        spoil: called with (client, reply); returns what is delivered instead, or None for nothing yet.
    """

    def __init__(self, app, settings, config=None):
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 1, 1  # as Flower's runtimes do
        self.app, self.settings = app, settings
        self.config = dict(config or {})
        self.contexts = {
            node: Context(1, node, dict(given), RecordDict(), self.config) for node, given in settings.items()
        }
        self.pushed, self.waiting, self.spoil = [], {}, lambda client, reply: reply

    @classmethod
    def of(cls, federation, **settings):
        """Return the grid of a federation, its nodes' numbers unlike those of the clients."""
        nodes = {1000 - 7 * c: {"partition-id": c, **settings} for c in range(federation.count)}
        return cls(client_app(federation.load), nodes)

    def get_node_ids(self):
        return list(self.settings)

    def push_messages(self, messages):
        numbers = []
        for message in messages:
            if message.metadata.dst_node_id in self.settings:
                number = uuid.uuid4().hex
                message.metadata.__dict__["_message_id"] = number
                self.pushed.append(message)
                self.waiting[number] = message
                numbers.append(number)
        return numbers

    def pull_messages(self, numbers):
        found = []
        for number in list(numbers):
            message = self.waiting[number]
            context = self.contexts[message.metadata.dst_node_id]
            try:
                reply = self.app(message, context)
            except Exception as error:  # as Flower's own runtime answers
                reply = Message(Error(2, f"{type(error)}:<'{error}'>"), reply_to=message)
            reply = self.spoil(context.node_config.get("partition-id"), reply)
            if reply is not None:
                del self.waiting[number]
                found.append(reply)
        return found
