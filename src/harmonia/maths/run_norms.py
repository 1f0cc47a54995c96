"""Norms of the weights of each unit in one layer; a unit is a run of rows, or of columns, in each of equal parts."""

from __future__ import annotations

from typing import Any


def run_norms(weight: Any, units: int, *, columns: bool, parts: int = 1) -> dict[str, Any]:
    """Return the l1 and l2 norm of each unit's slice: name -> (units,).

    Args:
        weight: (rows, columns), of NumPy or torch.
        units: they divide the columns, or the rows of each part, into equal runs.
        columns: whether units are runs of columns, as in the layer that reads them.
        parts: sets of all units behind each other: 3 where one layer makes queries, keys and values.

    >>> import numpy as np
    >>> norms = run_norms(np.array([[3., -4.], [0., 1.]]), 2, columns=False)
    >>> norms["l1"].tolist(), norms["l2"].tolist()
    ([7.0, 1.0], [5.0, 1.0])
    """
    rows = weight.T if columns else weight
    slices = rows.reshape(parts, units, -1)
    return {"l1": abs(slices).sum((0, 2)), "l2": (slices * slices).sum((0, 2)) ** 0.5}
