"""How clients' labels differ, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harmonia.maths.label_skew import (
    class_laws,
    client_information,
    effective_classes,
    missing_classes,
    total_variation,
)


@dataclass(frozen=True)
class Skew:
    """What a partition is like.

    Attributes:
        table: (K, C) int64, examples per client and class.
        sizes: (K,) int64, examples per client.
        held: (K,) int64, classes of which a client has an example.
        missing: (K,) int64, classes that occur and of which it has none.
        distance: (K,) float64, total variation between its label law and the global one.
        effective: (K,) float64, exp of the entropy of its label law: classes it has in effect.
        information: share of the labels' entropy that the client explains, 0 for iid clients to 1.
    """

    table: np.ndarray
    sizes: np.ndarray
    held: np.ndarray
    missing: np.ndarray
    distance: np.ndarray
    effective: np.ndarray
    information: float

    @property
    def mean_distance(self) -> float:
        """Mean over clients of the total variation to the global label law."""
        return float(self.distance.mean())

    def record(self) -> dict[str, Any]:
        """Return the JSON record."""
        return {
            "clients": len(self.sizes),
            "examples": int(self.sizes.sum()),
            "sizes": self.sizes.tolist(),
            "classes_held": self.held.tolist(),
            "classes_missing": self.missing.tolist(),
            "distance": self.distance.tolist(),
            "mean_distance": self.mean_distance,
            "effective_classes": self.effective.tolist(),
            "information": self.information,
            "table": self.table.tolist(),
        }


def describe(rows: Sequence[np.ndarray], labels: np.ndarray, classes: int) -> Skew:
    """Return what a partition is like.

    Args:
        rows: K parts, none empty.
        labels: (n,) int64, below ``classes``.
        classes: C.

    >>> skew = describe([np.array([0, 1]), np.array([2, 3])], np.array([0, 0, 1, 1]), 2)
    >>> skew.table.tolist(), skew.mean_distance, skew.information
    ([[2, 0], [0, 2]], 0.5, 1.0)
    """
    table = np.stack([np.bincount(labels[own], minlength=classes) for own in rows])
    laws, whole = class_laws(table), class_laws(table.sum(axis=0))
    return Skew(
        table=table,
        sizes=table.sum(axis=1),
        held=(table > 0).sum(axis=1),
        missing=missing_classes(table),
        distance=total_variation(laws, whole),
        effective=effective_classes(laws),
        information=client_information(table),
    )
