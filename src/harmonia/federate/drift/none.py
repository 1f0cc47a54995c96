"""The gradient as it is."""

from __future__ import annotations

from typing import Literal

from harmonia.federate.drift.base import Correction, Drift
from harmonia.federate.stack import Stack


class NoDrift(Drift):
    """Nothing is added to the gradient."""

    kind: Literal["none"] = "none"

    def begin(self, stack: Stack) -> Correction:
        return Correction()
