"""The axis ``bridging``: how experts of several widths are joined."""

from __future__ import annotations

from harmonia.core.part import one_of
from harmonia.merge.bridging.none import NoBridging
from harmonia.merge.bridging.projector import Projector

AnyBridging = one_of(NoBridging, Projector)

__all__ = [
    "AnyBridging",
    "NoBridging",
    "Projector",
]
