"""Norms of the weights that go with a unit, in every layer that makes it and the one that reads it; no data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harmonia.compress.site import Site
from harmonia.models.pruned import family_of
from harmonia.models.pruned.linear import matrix


def slice_norms(model: Any, sites: Sequence[Site]) -> list[dict[str, np.ndarray]]:
    """Return the norms of each unit's weights, without biases, tensor by tensor: by name (units,) float64.

    Names are ``l1:LAYER`` and ``l2:LAYER``, producers first and the consumer last. A layer that gives queries, keys and
    values at once counts as three, ``LAYER.0`` to ``LAYER.2``.

    Args:
        model: in memory.
        sites: consumers of the model.
    """
    slots = {slot.name: slot for slot in family_of(model).slots(model)}
    found = []
    for site in sites:
        slot = slots[site.name]
        norms: dict[str, np.ndarray] = {}
        for producer in slot.producers:
            rows = matrix(model.get_submodule(producer.name))
            for part, own in enumerate(rows.reshape(producer.parts, slot.units, -1)):
                norms |= _of(own, producer.name if producer.parts == 1 else f"{producer.name}.{part}")
        columns = matrix(model.get_submodule(slot.name)).T.reshape(slot.units, -1)
        found.append(norms | _of(columns, slot.name))
    return found


def _of(weights: Tensor, name: str) -> dict[str, np.ndarray]:
    """Return both norms of each row."""
    return {
        f"l{order}:{name}": torch.linalg.vector_norm(weights, order, dim=1, dtype=torch.float64).cpu().numpy()
        for order in (1, 2)
    }
