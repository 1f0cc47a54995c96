"""Shares of clients to whole numbers of examples, and drawing shares until nobody has too few."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harmonia.core.errors import InputError

REDRAWS = 1000


def cut_counts(shares: np.ndarray, total: int) -> np.ndarray:
    """Return how many of ``total`` each client gets when they are cut at the cumulated shares: (K,) -> (K,) int64.

    >>> cut_counts(np.array([0.5, 0.25, 0.25]), 10).tolist()
    [5, 2, 3]
    """
    # a sum of shares misses a whole number by rounding alone
    cuts = np.floor(np.cumsum(shares)[:-1] * total + 1e-9).astype(np.int64)
    return np.diff(cuts, prepend=0, append=total)


def drawn_until(draw: Callable[[], np.ndarray | None], smallest: int, what: str) -> np.ndarray:
    """Return the first draw in which every client has enough examples.

    Args:
        draw: gives counts (K, ...), or None for a draw that went wrong.
        smallest: what a client must have in sum.
        what: for the message.

    Raises:
        InputError: none of 1000 draws has.
    """
    best = -1
    for _ in range(REDRAWS):
        counts = draw()
        if counts is None:
            continue
        least = int(counts.reshape(len(counts), -1).sum(axis=1).min())
        if least >= smallest:
            return counts
        best = max(best, least)
    raise InputError(
        f"{what}: none of {REDRAWS} draws gives every client {smallest} examples (the smallest had {max(best, 0)} at "
        "best); take fewer clients, a larger beta or a smaller min_size"
    )


def check_room(clients: int, smallest: int, examples: int, what: str) -> None:
    """Refuse what no draw can give.

    Raises:
        InputError: there are fewer examples than all clients need.
    """
    if clients * smallest > examples:
        raise InputError(
            f"{what}: {clients} clients with {smallest} examples each need {clients * smallest}, there are {examples}; "
            "take fewer clients or a smaller min_size"
        )
