"""Attention heads."""

from __future__ import annotations

from typing import ClassVar, Literal

from harmonia.compress.site import Kind
from harmonia.compress.structure.base import Structure


class Heads(Structure):
    """Attention heads; where query heads share a key-value head, the whole group is one unit.

    The consumer is the projection behind the heads; a unit takes its rows of the queries, keys and values along, so
    that keys and values of a cache become smaller too.
    """

    kind: Literal["heads"] = "heads"
    kinds: ClassVar[tuple[Kind, ...]] = ("heads",)
