"""The axis ``perturb``: at which point the gradient of a local step is taken."""

from __future__ import annotations

from harmonia.core.part import one_of
from harmonia.federate.perturb.lesam import LESAM
from harmonia.federate.perturb.none import NoPerturb
from harmonia.federate.perturb.sam import SAM
from harmonia.federate.perturb.smoo import SMOO

AnyPerturb = one_of(NoPerturb, SAM, LESAM, SMOO)

__all__ = [
    "AnyPerturb",
    "LESAM",
    "NoPerturb",
    "SAM",
    "SMOO",
]
