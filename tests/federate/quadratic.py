"""A federation whose clients have quadratic losses, so that every round has a closed form.

    F_i(w) = 1/2 sum_j h_ij (w_j - c_ij)^2

Coordinator, clients, local training and all parts are the real ones; only the loss and the numbers of steps are put in.
"""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import torch

from harmonia.federate.clients import Clients
from harmonia.federate.coordinator import Coordinator
from harmonia.federate.needs import Sizes
from harmonia.federate.planner import Plan
from harmonia.federate.recipe import FederateRecipe
from harmonia.federate.recipes import fedavg


def recipe(*settings: str, rate: float = 0.1) -> FederateRecipe:
    """Return FedAvg with other choices."""
    return fedavg().with_settings([f"training.learning_rate={rate}", *settings])


class Federation:
    """Clients with quadratic losses.

    Args:
        curvature: h, (N, P) or (N,).
        optimum: c, of the same shape.
        examples: n_i.
        steps: K_i.
        first: (P,) the first model.

    Attributes:
        kept: client -> what it kept.
        passes: backward passes, of all clients that were trained together.
        starts: (round, client) -> the model that it received.
        visited: after each round, the examples that each model on its way has visited.
        losses: (round, client) -> the mean loss that it reported.
    """

    def __init__(self, curvature=(1, 3), optimum=(0, 4), examples=(1, 3), steps=(5, 5), first=(1,)):
        self.curvature, self.optimum = (
            torch.as_tensor(x, dtype=torch.float64).reshape(len(examples), -1) for x in (curvature, optimum)
        )
        self.examples, self.steps = examples, steps
        self.first = torch.as_tensor(first, dtype=torch.float64)
        self._forget()
        self.coordinator: Coordinator | None = None

    def _forget(self):
        self.kept, self.passes, self.starts, self.visited, self.losses = {}, 0, {}, [], {}

    @property
    def clients(self) -> int:
        return len(self.examples)

    def train(self, chosen: FederateRecipe, rounds=1, *, active=None, together=True, seed=0, resume=False):
        """Return the last average after each round, (rounds, P); ``resume`` starts anew from the stored state."""
        self._forget()
        plan = Plan.of(chosen, Sizes(shared=len(self.first), private=0, classes=1, features=1))
        rows = np.split(np.arange(sum(self.examples)), np.cumsum(self.examples)[:-1])
        losses = torch.stack([self.curvature, self.optimum], dim=1)  # every example of a client has the client's loss
        inputs = losses.repeat_interleave(torch.tensor(self.examples), dim=0)
        labels = torch.zeros(len(inputs), dtype=torch.int64)
        clients = Clients(Bare(self.first), plan.recipe, plan, inputs, labels, dict(enumerate(rows)), seed)

        def coordinator():
            return Coordinator(plan, self.first.clone(), self.clients, active or self.clients, rounds, seed)

        def order_of(rows, training, seed, round, client):
            return [rows] * self.steps[client]

        self.coordinator, found = coordinator(), []
        with (
            patch("harmonia.federate.local.Objective", lambda *given: Quadratic(self, *given)),
            patch("harmonia.federate.clients.order_of", order_of),
        ):
            for _ in range(rounds):
                jobs = self.coordinator.jobs()
                self.starts |= {(job.round, job.client): job.model.clone() for job in jobs}
                replies = []
                for group in [jobs] if together else [[job] for job in jobs]:
                    for reply, kept in clients.fit(group, [self.kept.get(job.client) for job in group]):
                        if kept:
                            self.kept[reply.client] = kept
                        replies.append(reply)
                        self.losses[reply.round, reply.client] = reply.facts["loss"]
                self.coordinator.take(replies)
                found.append(self.coordinator.model.clone())
                self.visited.append(dict(self.coordinator.visited))
                if resume:
                    state = {name: value.copy() for name, value in self.coordinator.state().items()}
                    self.coordinator = coordinator()
                    self.coordinator.restore(state)
        return torch.stack(found)


class Bare:
    """Stands where a model would: a vector of weights, all of them shared."""

    def __init__(self, first):
        self.size, self.shared, self.backbone = len(first), slice(0, len(first)), slice(0, len(first))
        self.part, self.classes = SimpleNamespace(private=False), 1
        self.network = SimpleNamespace(module=torch.nn.Identity())
        self.initial = first.clone


class Quadratic:
    """Stands where the objective would."""

    def __init__(self, federation, model, recipe, stack, inputs, labels):
        self.federation, self.inputs = federation, inputs
        self.loss = stack.received.new_zeros(len(stack.received))

    def take(self, rows, valid):
        valid = torch.ones_like(rows, dtype=torch.bool) if valid is None else valid
        weight = (valid.double() / valid.sum(dim=1, keepdim=True).clamp(min=1))[..., None]
        h, c = self.inputs[rows].unbind(dim=2)
        self.square, self.linear = (weight * h).sum(dim=1), (weight * h * c).sum(dim=1)
        self.constant = (weight * h * c * c).sum(dim=(1, 2)) / 2

    def gradient(self, at):
        self.federation.passes += 1
        self.loss = (self.square * at * at / 2 - self.linear * at).sum(dim=1) + self.constant
        return self.square * at - self.linear
