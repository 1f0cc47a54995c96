"""The axis ``structure``: what is removed, units inside of layers, channels between them, or whole layers."""

from __future__ import annotations

from harmonia.compress.structure.both import Both
from harmonia.compress.structure.depth import Depth
from harmonia.compress.structure.heads import Heads
from harmonia.compress.structure.hidden import Hidden
from harmonia.compress.structure.neurons import Neurons
from harmonia.core.part import one_of

AnyStructure = one_of(Both, Heads, Neurons, Hidden, Depth)

__all__ = [
    "AnyStructure",
    "Both",
    "Depth",
    "Heads",
    "Hidden",
    "Neurons",
]
