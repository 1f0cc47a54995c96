"""The clients and their examples: who has which, for training and for judging."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harmonia.core.errors import InputError
from harmonia.core.seeds import generator
from harmonia.data.labelled import Examples, Labelled
from harmonia.data.partitions import Column, Partition, describe, personal_rows

CLIENTS = 10
"""How many there are where neither anybody nor the data say."""


@dataclass(frozen=True)
class Population:
    """Clients and their examples.

    Attributes:
        data: all examples, with the noise of their clients where the partition adds some.
        train: per client its rows of the training examples.
        test: per client its rows of the test examples; may be none.
    """

    data: Labelled
    train: list[np.ndarray]
    test: list[np.ndarray]

    @classmethod
    def of(cls, data: Labelled, partition: Partition, clients: int | None, seed: int) -> Population:
        """Deal the examples.

        Raises:
            InputError: there are no examples, or the partition cannot be made.
        """
        if not len(data.train) or not len(data.test):
            raise InputError(f"{data.name}: not one {'test' if len(data.train) else 'training'} example")
        labels, columns = data.train.labels, data.train.columns
        if clients is None and not isinstance(partition, Column):
            clients = CLIENTS
        train = partition.split(labels, columns, clients, seed)
        test = personal_rows(
            partition,
            train,
            labels,
            data.test.labels,
            columns=columns,
            test_columns=data.test.columns,
            seed=seed,
        )
        noise = partition.noise(len(train))
        if noise.any():
            data = replace(
                data,
                train=_noisy(data.train, train, noise, seed, "train"),
                test=_noisy(data.test, test, noise, seed, "test"),
            )
        return cls(data, train, test)

    @property
    def clients(self) -> int:
        """How many there are."""
        return len(self.train)

    def summary(self) -> dict[str, Any]:
        """Return sizes, classes and skew, for reports; JSON."""
        skew = describe(self.train, self.data.train.labels, len(self.data.classes))
        return {**skew.record(), "test_sizes": [len(rows) for rows in self.test]}


def _noisy(examples: Examples, rows: Sequence[np.ndarray], noise: np.ndarray, seed: int, part: str) -> Examples:
    """Return the examples with Gaussian noise of each client's own strength; images stay bytes."""
    inputs = examples.inputs.copy()
    if inputs.dtype == np.int64:
        raise InputError("partition=feature-noise adds numbers to inputs, and ids of n-grams are no numbers")
    scale = 255.0 if inputs.dtype == np.uint8 else 1.0
    for client, own in enumerate(rows):
        drawn = generator(seed, "feature noise", part, client).normal(size=inputs[own].shape)
        changed = inputs[own] + scale * noise[client] * drawn
        inputs[own] = changed.round().clip(0, 255) if inputs.dtype == np.uint8 else changed
    return replace(examples, inputs=inputs)
