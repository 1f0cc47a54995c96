"""The server's side: choose clients, send, add up what comes back, step; its whole state is a few named arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from harmonia.core.errors import InputError, RunError
from harmonia.federate.messages import Job, Lost, Reply
from harmonia.federate.planner import Plan
from harmonia.federate.server_rule import ServerRule

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class RoundFacts:
    """What a round was.

    Attributes:
        round: from 1.
        clients: who answered, in order.
        lost: who did not, and why.
        averaged: whether models were averaged after it.
        facts: per client that answered, what it reported.
    """

    round: int
    clients: list[int] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    averaged: bool = True
    facts: list[dict[str, float]] = field(default_factory=list)


class Coordinator:
    """Leads a federated training round by round.

    Args:
        plan: the recipe, resolved, and what it sends.
        model: (P,) the first shared weights.
        clients: how many there are.
        active: how many take part in a round.
        rounds: how many rounds there will be; a relay ends with an average.
        seed: of the run.

    Attributes:
        model: (P,) the last average.
        round: the last finished round.

    Raises:
        InputError: more active clients than there are, or a relay that would never average.
    """

    def __init__(self, plan: Plan, model: Tensor, clients: int, active: int, rounds: int, seed: int) -> None:
        if not 1 <= active <= clients:
            raise InputError(f"{active} active clients of {clients}; give a share above 0 and at most 1")
        self.plan, self.model, self.clients, self.active = plan, model, clients, active
        self.rounds, self.seed, self.round = rounds, seed, 0
        recipe = plan.recipe
        self.step = recipe.server.start()
        makers = {
            "loss": recipe.loss.server(),
            "perturb": recipe.perturb.server(),
            "drift": recipe.drift.server(clients),
        }
        self.rules: dict[str, ServerRule] = {axis: rule for axis, rule in makers.items() if rule is not None}
        self.slots: dict[int, Tensor] = {}
        """Models on their way, where the schedule relays; empty right after an average."""
        self.visited: dict[int, float] = {}
        """Examples that each of them has visited since the last average."""

    def jobs(self) -> list[Job]:
        """Return what is sent in the next round."""
        number = self.round + 1
        chosen = self.plan.recipe.schedule.assign(number, self.active, self.clients, self.seed)
        sent = self.sent()
        return [Job(slot, client, number, self.slots.get(slot, self.model), sent) for slot, client in enumerate(chosen)]

    def sent(self) -> dict[str, Tensor]:
        """Return what is sent to every client beside the model."""
        return {name: value for rule in self.rules.values() for name, value in rule.down(self.model).items()}

    def take(self, answers: Iterable[Reply | Lost]) -> RoundFacts:
        """Take in the answers of a round, one at a time and checked, and step.

        Raises:
            RunError: nobody answered.
        """
        number = self.round + 1
        recipe = self.plan.recipe
        relays = recipe.schedule.relays
        found = RoundFacts(number, averaged=recipe.schedule.averages(number, self.clients) or number == self.rounds)
        total: Tensor | None = None
        examples, steps = [], []
        for reply in answers:
            if isinstance(reply, Lost):
                found.lost.append(reply)
                continue
            for rule in self.rules.values():
                rule.receive(reply.client, reply.up)
            found.clients.append(reply.client)
            found.facts.append(reply.facts)
            steps.append(reply.steps)
            if relays:
                self.slots[reply.slot] = reply.model
                self.visited[reply.slot] = self.visited.get(reply.slot, 0.0) + reply.examples
                continue
            examples.append(float(reply.examples))
            change = recipe.weight.unit(reply.examples, reply.steps) * (reply.model - self.model)
            total = change if total is None else total.add_(change)
        if not found.clients:
            why = found.lost[0].why if found.lost else "none was asked"
            raise RunError(f"round {number}: no client answered ({why})")
        if found.averaged:
            if relays:
                total, examples, steps = self._slots_total()
            assert total is not None
            before = self.model
            average = before + recipe.weight.scale(examples, steps) * total
            self.model = self.step.step(before, average, len(examples), self.clients)
            for rule in self.rules.values():
                rule.end_round(before, self.model, float(np.mean(steps)), recipe.training.rate(number))
            self.slots, self.visited = {}, {}
        self.round = number
        return found

    def _slots_total(self) -> tuple[Tensor, list[float], list[int]]:
        """Return the weighted sum of the changes of all slots, and their weights."""
        weight = self.plan.recipe.weight
        total: Tensor | None = None
        for slot in sorted(self.slots):
            change = weight.unit(self.visited[slot], 1) * (self.slots[slot] - self.model)
            total = change if total is None else total.add_(change)
        assert total is not None
        examples = [self.visited[slot] for slot in sorted(self.slots)]
        return total, examples, [1] * len(examples)

    # -- keeping ------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, np.ndarray]:
        """Return everything that the next round depends on."""
        held: dict[str, Any] = {"model": self.model, "round": np.array([self.round])}
        held |= {f"step.{name}": value for name, value in self.step.state.items()}
        for axis, rule in self.rules.items():
            held |= {f"{axis}.{name}": value for name, value in rule.state.items()}
        for slot, vector in self.slots.items():
            held |= {f"slot.{slot}": vector, f"visited.{slot}": np.array([self.visited[slot]])}
        return {n: v if isinstance(v, np.ndarray) else v.detach().cpu().numpy() for n, v in held.items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take up a stored state."""
        import torch

        device = self.model.device
        self.round = int(state["round"][0])
        self.model = torch.from_numpy(state["model"]).to(device)
        for prefix, held in (("step", self.step.state), *((axis, rule.state) for axis, rule in self.rules.items())):
            held.clear()
            held.update(
                {
                    name.removeprefix(f"{prefix}."): torch.from_numpy(value).to(device)
                    for name, value in state.items()
                    if name.startswith(f"{prefix}.")
                }
            )
        numbers = [int(name.removeprefix("slot.")) for name in state if name.startswith("slot.")]
        self.slots = {slot: torch.from_numpy(state[f"slot.{slot}"]).to(device) for slot in numbers}
        self.visited = {slot: float(state[f"visited.{slot}"][0]) for slot in numbers}
