"""The axis ``drift``: what is added to a client's gradient against running off to its own optimum."""

from __future__ import annotations

from harmonia.core.part import one_of
from harmonia.federate.drift.dyn import Dyn
from harmonia.federate.drift.momentum import Momentum
from harmonia.federate.drift.none import NoDrift
from harmonia.federate.drift.prox import Prox
from harmonia.federate.drift.scaffold import Scaffold

AnyDrift = one_of(NoDrift, Prox, Scaffold, Dyn, Momentum)

__all__ = [
    "AnyDrift",
    "Momentum",
    "Dyn",
    "NoDrift",
    "Prox",
    "Scaffold",
]
