"""The axis ``loss``: what a client adds to the cross entropy of its examples."""

from __future__ import annotations

from harmonia.core.part import one_of
from harmonia.federate.loss.ce import CE
from harmonia.federate.loss.decorr import Decorr
from harmonia.federate.loss.moon import Moon
from harmonia.federate.loss.mr import MR
from harmonia.federate.loss.mr_intra import MRIntra

AnyLoss = one_of(CE, MRIntra, MR, Decorr, Moon)

__all__ = [
    "AnyLoss",
    "CE",
    "Decorr",
    "MR",
    "MRIntra",
    "Moon",
]
