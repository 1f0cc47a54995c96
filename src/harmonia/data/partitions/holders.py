"""Classes that are held by some clients only: each class is cut into equal parts among its holders."""

from __future__ import annotations

import numpy as np

from harmonia.core.errors import InputError


def add_classes(held: np.ndarray, each: int, random: np.random.Generator) -> None:
    """Give every client classes at random that it does not hold, until it holds ``each``: (K, C) bool, in place."""
    for own in held:
        missing = each - int(own.sum())
        own[random.permutation(np.flatnonzero(~own))[:missing]] = True


def among_holders(
    labels: np.ndarray, classes: np.ndarray, held: np.ndarray, random: np.random.Generator, what: str
) -> list[np.ndarray]:
    """Return the rows of each client when each class is cut into equal parts among its holders.

    Args:
        labels: (n,).
        classes: (C,) labels that occur.
        held: (K, C) bool, every class with a holder.
        random: the source of all chance.
        what: for the message.

    Raises:
        InputError: a class has fewer examples than holders.
    """
    rows: list[list[np.ndarray]] = [[] for _ in held]
    for label, holds in zip(classes, held.T, strict=True):
        holders = random.permutation(np.flatnonzero(holds))
        own = random.permutation(np.flatnonzero(labels == label))
        if len(own) < len(holders):
            raise InputError(
                f"{what}: class {label} has {len(own)} examples for {len(holders)} clients that hold it; "
                "take fewer clients or fewer classes each"
            )
        for client, part in zip(holders, np.array_split(own, len(holders)), strict=True):
            rows[client].append(part)
    return [np.concatenate(own) for own in rows]
