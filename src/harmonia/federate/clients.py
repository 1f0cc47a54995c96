"""The clients' side of a round: from jobs to replies, for one client or several in one pass.

Everything that a client does is here, so that every engine, Flower too, runs the same lines.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from harmonia.core.seeds import generator
from harmonia.federate.batches import Batches, order_of
from harmonia.federate.judge import Exam
from harmonia.federate.local import train
from harmonia.federate.messages import Job, Reply
from harmonia.federate.model import ClientModel
from harmonia.federate.planner import Plan
from harmonia.federate.recipe import FederateRecipe
from harmonia.federate.stack import Stack

if TYPE_CHECKING:
    from torch import Tensor

Kept = dict[str, np.ndarray]
"""What a client keeps between its participations, by name."""


class Clients:
    """Trains clients on their own examples.

    Args:
        model: backbone and head; the one instance that all clients of this process use in turn.
        recipe: how to train.
        plan: what is kept and sent.
        inputs: (n, ...) examples of all clients of this process.
        labels: (n,) int64.
        rows: per client its rows of these.
        seed: of the run.
        exam: judges a client's own model; None where clients are not judged.
    """

    def __init__(
        self,
        model: ClientModel,
        recipe: FederateRecipe,
        plan: Plan,
        inputs: Tensor,
        labels: Tensor,
        rows: Mapping[int, np.ndarray],
        seed: int,
        exam: Exam | None = None,
    ) -> None:
        self.model, self.recipe, self.plan = model, recipe, plan
        self.inputs, self.labels, self.rows, self.seed, self.exam = inputs, labels, rows, seed, exam
        self.first = model.initial()
        """(P,) the first weights of all."""

    def fit(self, jobs: Sequence[Job], kept: Sequence[Kept | None]) -> list[tuple[Reply, Kept]]:
        """Train the clients of these jobs in one pass; return their replies and what they keep.

        Args:
            jobs: of one round.
            kept: what each client kept; None for one that never took part.
        """
        start = time.perf_counter()
        recipe, model = self.recipe, self.model
        orders = [order_of(self.rows[j.client], recipe.training, self.seed, j.round, j.client) for j in jobs]
        batches = Batches.of(orders)
        stack = self.stack(jobs, kept, batches)
        with torch.random.fork_rng(devices=[]):  # dropout: a function of seed, round and clients
            noise = int(generator(self.seed, "noise", jobs[0].round, jobs[0].client).integers(2**62))
            if self.labels.device.type == "cpu":
                torch.default_generator.manual_seed(noise)  # manual_seed asks every accelerator too, for .4 ms
            else:
                torch.manual_seed(noise)
            trained = train(model, recipe, stack, batches, self.inputs, self.labels)
        if "class_sums" in self.plan.names("up"):
            trained.up.update(self.class_sums(trained.final, jobs))
        if "previous" in self.plan.names("kept"):
            trained.kept["previous"] = trained.final[:, model.shared]
        if model.part.private:
            trained.kept["head"] = trained.final[:, model.backbone.stop :]
        drift = (trained.final - stack.received)[:, model.shared].norm(dim=1)
        seconds = (time.perf_counter() - start) / len(jobs)
        found = []
        for i, job in enumerate(jobs):
            facts = {"loss": float(trained.loss[i]), "drift": float(drift[i]), "seconds": seconds}
            if job.judge and self.exam is not None:
                facts["accuracy"] = self.exam.accuracy(job.client, trained.final[i], stack.counts[i])
            reply = Reply(
                job.slot,
                job.client,
                job.round,
                trained.final[i, model.shared],
                {name: value[i] for name, value in trained.up.items()},
                len(self.rows[job.client]),
                len(orders[i]),
                facts,
            )
            found.append((reply, {name: value[i].detach().cpu().numpy() for name, value in trained.kept.items()}))
        return found

    def stack(self, jobs: Sequence[Job], kept: Sequence[Kept | None], batches: Batches) -> Stack:
        """Return what these clients hold when they begin."""
        model, device = self.model, self.labels.device
        names = self.plan.names("kept")
        first = [held is None for held in kept]
        known: dict[str, list[Tensor]] = {name: [] for name in names}
        received = []
        for job, held in zip(jobs, kept, strict=True):
            for name in names:
                value = torch.zeros(self.plan.size(name)) if held is None else torch.from_numpy(held[name])
                known[name].append(value.to(device))
            rest = self.first[model.shared.stop :]
            if model.part.private and held is not None:
                rest = torch.from_numpy(held["head"])
            received.append(torch.cat([job.model, rest.to(job.model)]))
        return Stack(
            clients=tuple(job.client for job in jobs),
            received=torch.stack(received).to(device),
            sent={name: torch.stack([job.sent[name] for job in jobs]).to(device) for name in jobs[0].sent},
            kept={name: torch.stack(values) for name, values in known.items()},
            first=torch.tensor(first, device=device),
            counts=self.counts([job.client for job in jobs]),
            steps=torch.from_numpy(batches.steps).to(device),
            rate=self.recipe.training.rate(jobs[0].round),
            round=jobs[0].round,
            shared=model.shared,
        )

    def counts(self, clients: Sequence[int]) -> Tensor:
        """Return examples per class: (m, C)."""
        each = [torch.bincount(self.labels[self.rows[c]], minlength=self.model.classes) for c in clients]
        return torch.stack(each).to(self.first.dtype)

    def class_sums(self, vectors: Tensor, jobs: Sequence[Job]) -> dict[str, Tensor]:
        """Return the sums of features per class, in evaluation mode, and the counts: (m, C, d) and (m, C)."""
        sums = []
        self.model.network.module.eval()
        with torch.no_grad():
            for vector, job in zip(vectors, jobs, strict=True):
                total = vector.new_zeros(self.model.classes, self.model.width)
                for part in np.array_split(self.rows[job.client], -(-len(self.rows[job.client]) // 1024)):
                    features = self.model.features(vector[None], self.inputs[part][None])[0]
                    total.index_add_(0, self.labels[part], features)
                sums.append(total)
        return {"class_sums": torch.stack(sums), "class_counts": self.counts([job.client for job in jobs])}
