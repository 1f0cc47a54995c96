"""Accuracy beside what had been spent until then: rounds, averages, bytes, seconds of clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def curve(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rounds in which the global model was judged, each with what had been spent until then.

    Args:
        history: a row per round, as the summary of a run has them.

    >>> row = {"averaged": True, "bytes_down": 8, "bytes_up": 8, "client_seconds": 0.5}
    >>> curve([{"round": 1, "accuracy": None, **row}, {"round": 2, "accuracy": 0.25, **row}])
    [{'round': 2, 'averages': 2, 'bytes': 32, 'client_seconds': 1.0, 'accuracy': 0.25}]
    """
    averages, moved, worked, found = 0, 0, 0.0, []
    for row in history:
        averages += row["averaged"]
        moved += row["bytes_down"] + row["bytes_up"]
        worked += row["client_seconds"]
        if row["accuracy"] is not None:
            spent = {"round": row["round"], "averages": averages, "bytes": moved, "client_seconds": worked}
            found.append({**spent, "accuracy": row["accuracy"]})
    return found
