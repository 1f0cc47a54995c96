"""Which examples a client sees in which local step: a function of seed, round and client alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harmonia.core.seeds import generator
from harmonia.federate.training import Training


def steps_of(examples: int, training: Training) -> int:
    """Return the number of local steps of a client with so many examples."""
    if training.steps is not None:
        return training.steps
    return training.epochs * -(-examples // min(training.batch or examples, examples))


def order_of(rows: np.ndarray, training: Training, seed: int, round: int, client: int) -> list[np.ndarray]:
    """Return the rows of each local step.

    Args:
        rows: (n,) the client's examples.
        training: epochs or steps, and batch.
        seed: of the run.
        round: from 1.
        client: its number.
    """
    random = generator(seed, "batches", round, client)
    size = min(training.batch or len(rows), len(rows))
    wanted = steps_of(len(rows), training)
    found: list[np.ndarray] = []
    while len(found) < wanted:
        mixed = random.permutation(rows) if size < len(rows) else rows
        found += [mixed[start : start + size] for start in range(0, len(mixed), size)]
    return found[:wanted]


@dataclass(frozen=True)
class Batches:
    """The steps of m clients, padded to one shape.

    Attributes:
        rows: (m, K, B) int64 rows of the data; 0 where padded.
        valid: (m, K, B) bool.
        steps: (m,) int64, steps that are real; the others are padding.
    """

    rows: np.ndarray
    valid: np.ndarray
    steps: np.ndarray

    @classmethod
    def of(cls, orders: list[list[np.ndarray]]) -> Batches:
        """Pad the steps of several clients."""
        steps = np.array([len(order) for order in orders])
        width = max(len(batch) for order in orders for batch in order)
        rows = np.zeros((len(orders), int(steps.max()), width), np.int64)
        valid = np.zeros(rows.shape, bool)
        for i, order in enumerate(orders):
            for k, batch in enumerate(order):
                rows[i, k, : len(batch)] = batch
                valid[i, k, : len(batch)] = True
        return cls(rows, valid, steps)
