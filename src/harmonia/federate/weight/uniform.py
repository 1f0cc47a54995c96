"""Clients count alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from harmonia.federate.weight.base import Weight


class Uniform(Weight):
    """Clients count alike, whatever they hold: 1 / m each."""

    kind: Literal["uniform"] = "uniform"

    def unit(self, examples: float, steps: int) -> float:
        return 1.0

    def scale(self, examples: Sequence[float], steps: Sequence[int]) -> float:
        return 1 / len(examples)
