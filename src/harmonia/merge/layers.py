"""Disagreement by layer: what the names of tensors tell of where they belong."""

from __future__ import annotations

import re
from collections.abc import Mapping

from harmonia.maths.task_vectors import Disagreement

_LAYER = re.compile(r"(?:^|\.)(\d+)\.(.+)$")


def place(name: str) -> tuple[str, str]:
    """Return the layer of a tensor, and what it is within the layer; what lies in none is a layer by itself.

    >>> place("model.layers.12.self_attn.q_proj.weight"), place("model.norm.weight")
    (('12', 'self_attn.q_proj'), ('model.norm', ''))
    """
    found = _LAYER.search(name)
    if found is None:
        return name.removesuffix(".weight"), ""
    return found[1], found[2].removesuffix(".weight")


def by_layer(found: Mapping[str, Disagreement]) -> dict[str, Disagreement]:
    """Return the disagreement of each layer, in the order of layers, what lies in none after them."""
    sums: dict[str, Disagreement] = {}
    for name, tensor in found.items():
        layer = place(name)[0]
        sums[layer] = sums[layer] + tensor if layer in sums else tensor
    numbers = sorted((layer for layer in sums if layer.isdigit()), key=int)
    return {layer: sums[layer] for layer in [*numbers, *(other for other in sums if not other.isdigit())]}
