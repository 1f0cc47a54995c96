"""The axis ``head``: how features become logits, and whose the head is."""

from __future__ import annotations

from harmonia.core.part import one_of
from harmonia.federate.head.etf import Etf
from harmonia.federate.head.frozen_random import FrozenRandom
from harmonia.federate.head.gela import Gela
from harmonia.federate.head.linear import LinearHead
from harmonia.federate.head.local import Local

AnyHead = one_of(LinearHead, Etf, Gela, Local, FrozenRandom)

__all__ = [
    "AnyHead",
    "Etf",
    "FrozenRandom",
    "Gela",
    "LinearHead",
    "Local",
]
