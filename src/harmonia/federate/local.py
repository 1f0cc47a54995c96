"""Local training of m clients at once: from the models they received to the models they send back.

    at = v + eps,  g = grad F(at),  g <- correction(g, v),  g <- clip(g) + weight_decay v,  v <- v - eta momentum(g)

Where the shift eps is the same in every step, the shifted iterate u = v + eps is trained and eps taken off at the end,
which is the same in exact arithmetic and saves two additions per step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from harmonia.federate.batches import Batches
from harmonia.federate.drift.none import NoDrift
from harmonia.federate.model import ClientModel
from harmonia.federate.recipe import FederateRecipe
from harmonia.federate.stack import Stack

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Trained:
    """What came of the local training of m clients.

    Attributes:
        final: (m, P) vectors.
        kept: what the clients keep, by name: (m, ...).
        up: what they send beside the model, by name: (m, ...).
        loss: (m,) mean training loss over the steps.
    """

    final: Tensor
    kept: dict[str, Tensor]
    up: dict[str, Tensor]
    loss: Tensor


def train(
    model: ClientModel, recipe: FederateRecipe, stack: Stack, batches: Batches, inputs: Tensor, labels: Tensor
) -> Trained:
    """Train m clients from the models they received.

    Args:
        model: backbone and head.
        recipe: loss, perturbation, drift correction and optimiser settings.
        stack: what the clients hold.
        batches: rows of each step.
        inputs: (n, ...) all examples.
        labels: (n,) int64.
    """
    training, objective = recipe.training, Objective(model, recipe, stack, inputs, labels)
    perturbation, correction = recipe.perturb.begin(stack), recipe.drift.begin(stack)
    rows, valid = torch.from_numpy(batches.rows).to(labels.device), torch.from_numpy(batches.valid).to(labels.device)
    full, all_run = np.atleast_1d(batches.valid.all(axis=(0, 2))), int(batches.steps.min())
    shift = perturbation.constant
    at_iterate = training.weight_decay > 0 or not isinstance(recipe.drift, NoDrift)
    point = stack.received.clone() if shift is None else stack.received + shift
    velocity: Tensor | None = None
    total = point.new_zeros(len(point))
    model.network.module.train()
    for step in range(rows.shape[1]):
        objective.take(rows[:, step], None if full[step] else valid[:, step])
        gradient = perturbation.gradient(point, objective.gradient)
        total += objective.loss if step < all_run else objective.loss * (step < stack.steps)
        iterate = point if shift is None or not at_iterate else point - shift
        gradient = correction.add(gradient, iterate)
        moving = _moving(model, recipe, stack, step, all_run)
        if moving is not None:  # what rests is no part of the norm, and gathers no velocity
            gradient = gradient * moving
        if training.clip is not None:
            norm = gradient.norm(dim=1, keepdim=True)
            gradient = gradient * (training.clip / norm.clamp(min=training.clip))
        if training.weight_decay:
            gradient = gradient + training.weight_decay * iterate
        if training.momentum:
            velocity = gradient.clone() if velocity is None else velocity.mul_(training.momentum).add_(gradient)
            gradient = velocity
        point.sub_(gradient if moving is None else gradient * moving, alpha=stack.rate)
    final = point if shift is None else point - shift
    kept, up = perturbation.end(final)
    for found, more in zip((kept, up), correction.end(final), strict=True):
        found.update(more)
    return Trained(final, kept, up, total / stack.steps)


class Objective:
    """The loss of each client on its present batch, and its gradient."""

    def __init__(
        self, model: ClientModel, recipe: FederateRecipe, stack: Stack, inputs: Tensor, labels: Tensor
    ) -> None:
        self.model, self.part, self.stack = model, recipe.loss, stack
        self.inputs, self.labels = inputs, labels
        self.anchors, self.known = stack.sent.get("prototypes"), stack.sent.get("known")
        if self.part.anchors_from_head and model.head.vectors is not None:
            self.anchors, self.known = model.head.vectors.mT, None
        self.loss = stack.received.new_zeros(len(stack.received))
        self._others = {name: self._model(name) for name in self.part.reads_models}

    def take(self, rows: Tensor, valid: Tensor | None) -> None:
        """Take up the batch of the next step: (m, B) rows of the data, and which of them are real; None for all."""
        every = rows.flatten()  # rows of a table are gathered faster than elements at places
        self._x = self.inputs.index_select(0, every).unflatten(0, rows.shape)
        self._y, self._valid = self.labels.index_select(0, every).view_as(rows), valid
        with torch.no_grad():
            self._seen = {name: self.model.features(vectors, self._x) for name, vectors in self._others.items()}

    def gradient(self, at: Tensor) -> Tensor:
        """Return the gradient of each client's loss at these vectors: (m, P); ``loss`` holds the losses."""
        self.loss, gradient = self.model.differentiate(at, self._x, self.stack.counts, self.losses)
        return gradient

    def losses(self, features: Tensor, logits: Tensor) -> Tensor:
        """Return each client's loss on its present batch from (m, B, d) and (m, B, C): (m,)."""
        valid = self._valid
        each = torch.nn.functional.cross_entropy(logits.flatten(0, 1), self._y.flatten(), reduction="none")
        each = each.view_as(self._y)
        losses = each.mean(dim=1) if valid is None else (each * valid).sum(dim=1) / valid.sum(dim=1).clamp(min=1)
        if self.part.plain:
            return losses
        extra = self.part.term(
            features,
            self._y,
            torch.ones_like(self._y, dtype=torch.bool) if valid is None else valid,
            classes=self.model.classes,
            anchors=self.anchors,
            known=self.known,
            others=self._seen,
        )
        return losses + extra

    def _model(self, name: str) -> Tensor:
        """Return a model whose features the loss reads: one that was kept, or the received one before there is any."""
        received = self.stack.received
        if name == "received":
            return received
        held = torch.cat([self.stack.kept[name], received[:, self.stack.shared.stop :]], dim=1)
        return torch.where(self.stack.first[:, None], received, held)


def _moving(model: ClientModel, recipe: FederateRecipe, stack: Stack, step: int, all_run: int) -> Tensor | None:
    """Return which coordinates this step moves: (m, P) or (m, 1) as factors; None for all.

    Args:
        model: says which coordinates are the head's.
        recipe: its head may rest, or the backbone.
        stack: the clients.
        step: from 0.
        all_run: so many first steps are steps of every client.
    """
    moves = recipe.head.moves(step, stack.steps)
    if moves is None and not recipe.head.frozen and step < all_run:
        return None
    running = (step < stack.steps)[:, None]
    if moves is None and not recipe.head.frozen:
        return running.to(stack.received.dtype)
    moving = running.expand(-1, model.size).clone()
    if moves is not None:
        moving[:, model.backbone] &= moves[:, :1]
        moving[:, model.backbone.stop :] &= moves[:, 1:]
    if recipe.head.frozen:
        moving[:, model.backbone.stop :] = False
    return moving.to(stack.received.dtype)
