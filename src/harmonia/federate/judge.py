"""How good a model is: on the test examples of all, and of each client by its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from harmonia.federate.model import ClientModel
from harmonia.maths.sharpness import sharpness

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 1024
RADIUS = 0.05
"""Length of the step uphill by which sharpness is measured."""


@dataclass(frozen=True)
class Judge:
    """Scores vectors on test examples.

    Attributes:
        model: backbone and head.
        inputs: (n, ...) test examples.
        labels: (n,) int64.
    """

    model: ClientModel
    inputs: Tensor
    labels: Tensor

    def scores(self, vector: Tensor) -> dict[str, Any]:
        """Return accuracy, its mean over classes (balanced), accuracy per class, loss and sharpness of a global model.

        Sharpness is how much the loss on a thousand test examples rises within 0.05 uphill.
        """
        right, loss = self.right(vector, np.arange(len(self.labels)), None, "global")
        per_class = []
        for c in range(self.model.classes):
            mine = self.labels == c
            per_class.append(float(right[mine].mean()) if bool(mine.any()) else float("nan"))
        return {
            "accuracy": float(right.mean()),
            "balanced_accuracy": float(np.nanmean(per_class)),
            "per_class": per_class,
            "loss": loss,
            "sharpness": sharpness(self._loss, vector, RADIUS),
        }

    def _loss(self, vector: Tensor) -> Tensor:
        """Return the mean loss of a global model on the first test examples, differentiable."""
        inputs, labels = self.inputs[:BATCH], self.labels[:BATCH]
        features = self.model.features(vector[None], inputs[None])
        return torch.nn.functional.cross_entropy(self.model.logits(vector[None], features, None, "global")[0], labels)

    def right(
        self, vector: Tensor, rows: np.ndarray, counts: Tensor | None, mode: Literal["local", "global"]
    ) -> tuple[Tensor, float]:
        """Return which examples are classified rightly, (n,) 0 or 1, and the mean loss.

        Args:
            vector: (P,) a model.
            rows: of the test examples.
            counts: (1, C) examples per class of the client whose model it is.
            mode: global or local.
        """
        right, losses = [], 0.0
        self.model.network.module.eval()
        with torch.no_grad():
            for start in range(0, len(rows), BATCH):
                part = rows[start : start + BATCH]
                labels = self.labels[part]
                features = self.model.features(vector[None], self.inputs[part][None])
                logits = self.model.logits(vector[None], features, counts, mode)[0]
                right.append((logits.argmax(dim=1) == labels).to(vector.dtype))
                losses += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
        return torch.cat(right), losses / len(rows)


@dataclass(frozen=True)
class Exam:
    """Scores every client's own model on its own test examples.

    Attributes:
        judge: has the test examples of all.
        rows: per client its rows of these.
    """

    judge: Judge
    rows: Mapping[int, np.ndarray]

    def accuracy(self, client: int, vector: Tensor, counts: Tensor) -> float:
        """Return the accuracy of a client's model after local training; NaN for one without test examples.

        Args:
            client: its number.
            vector: (P,) its model.
            counts: (C,) its training examples per class.
        """
        rows = self.rows[client]
        if not len(rows):
            return float("nan")
        right, _ = self.judge.right(vector, rows, counts[None], "local")
        return float(right.mean())
