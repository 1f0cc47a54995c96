"""Each client's own share of the test set, on which its personal model is judged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harmonia.core.errors import InputError
from harmonia.core.seeds import generator
from harmonia.data.partitions.base import Columns, Partition
from harmonia.data.partitions.column import Column
from harmonia.data.partitions.cut import cut_counts


def personal_rows(
    partition: Partition,
    rows: Sequence[np.ndarray],
    labels: np.ndarray,
    test_labels: np.ndarray,
    *,
    columns: Columns | None = None,
    test_columns: Columns | None = None,
    seed: int,
) -> list[np.ndarray]:
    """Return the test rows of each client: disjoint and sorted.

    Test examples of a class go to clients in the shares in which its training examples did, n_ic / n_c, up to rounding;
    where classes are as frequent in the test set as in training, a client's test law is its training law. By a column,
    a client's test examples are those with its value. A class that nobody holds, or a value that no client has, stays
    out; a small client may get no test example.

    Args:
        partition: how the training examples were dealt out.
        rows: K training parts, as ``split`` gives them.
        labels: (n,) of the training examples.
        test_labels: (t,).
        columns: of the training examples; needed by a partition by column.
        test_columns: of the test examples; likewise.
        seed: of the draw.

    Raises:
        InputError: the test set lacks the column.
    """
    if isinstance(partition, Column):
        values = partition.values(columns or {})
        if partition.name not in (test_columns or {}):
            raise InputError(f"partition=column:{partition.name}: the test set has no column {partition.name!r}")
        return [np.flatnonzero((test_columns or {})[partition.name] == value) for value in values]
    random = generator(seed, "personal rows", partition.kind_name())
    found: list[list[np.ndarray]] = [[np.empty(0, np.int64)] for _ in rows]
    classes = int(max(labels.max(initial=0), test_labels.max(initial=0))) + 1
    counts = np.stack([np.bincount(labels[own], minlength=classes) for own in rows])
    for label in np.unique(test_labels):
        holders = random.permutation(np.flatnonzero(counts[:, label]))  # rounding favours nobody
        if not len(holders):
            continue
        held = counts[holders, label]
        test = random.permutation(np.flatnonzero(test_labels == label))
        parts = np.split(test, np.cumsum(cut_counts(held / held.sum(), len(test)))[:-1])
        for client, part in zip(holders, parts, strict=True):
            found[client].append(part)
    return [np.sort(np.concatenate(own)) for own in found]
