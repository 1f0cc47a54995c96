"""Heads and neurons."""

from __future__ import annotations

from typing import ClassVar, Literal

from harmonia.compress.site import Kind
from harmonia.compress.structure.base import Structure


class Both(Structure):
    """Attention heads and neurons of the feed-forward layers, under one budget."""

    kind: Literal["both"] = "both"
    kinds: ClassVar[tuple[Kind, ...]] = ("heads", "neurons")
