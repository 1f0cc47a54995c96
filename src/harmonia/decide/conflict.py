"""How the gradients of tasks meet: measured at given weights, on fresh windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from harmonia.decide.learner import Learner, Surroundings

BATCHES = 8
"""Batches over which a task's gradient is averaged."""
BATCH = 32
"""Windows per task in a batch."""


def task_gradients(
    learner: Learner, tasks: Sequence[int], around: Surroundings, batches: int = BATCHES
) -> torch.Tensor:
    """Return the gradient of each task's loss at the learner's weights, over what tasks share: (N, V).

    Every task is differentiated through its own weights (its mask, its adapter), in one grouped pass per batch.
    """
    total = None
    for number in range(batches):
        windows = around.draw(tasks, BATCH, "conflict", number)
        leaf = learner.vector.detach().expand(len(tasks), -1).clone().requires_grad_(True)
        losses = learner.losses(leaf, tasks, windows)
        found = torch.autograd.grad(losses.sum(), leaf)[0][:, learner.common]
        total = found if total is None else total + found
    assert total is not None
    return total / batches


def conflict(gradients: torch.Tensor, names: Sequence[str]) -> dict[str, Any]:
    """Return how the gradients of these tasks, (N, V), meet; JSON, see ``harmonia.maths.conflict.summary``."""
    from harmonia.maths.conflict import summary

    return {"tasks": list(names), **summary(gradients)}
