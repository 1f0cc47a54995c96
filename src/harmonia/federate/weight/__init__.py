"""The axis ``weight``: how much each client's model counts in the average."""

from __future__ import annotations

from harmonia.core.part import one_of
from harmonia.federate.weight.examples import Examples
from harmonia.federate.weight.nova import Nova
from harmonia.federate.weight.uniform import Uniform

AnyWeight = one_of(Examples, Uniform, Nova)

__all__ = [
    "AnyWeight",
    "Examples",
    "Nova",
    "Uniform",
]
