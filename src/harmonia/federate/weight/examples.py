"""Clients count by their examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from harmonia.federate.weight.base import Weight


class Examples(Weight):
    """Clients count by their examples: p_i = n_i / sum_j n_j.

    McMahan et al. 2017 (arXiv 1602.05629).
    """

    kind: Literal["examples"] = "examples"
    references: ClassVar[tuple[str, ...]] = ("mcmahan2017fedavg",)

    def unit(self, examples: float, steps: int) -> float:
        return examples

    def scale(self, examples: Sequence[float], steps: Sequence[int]) -> float:
        return 1 / sum(examples)
