"""FedNova: changes are divided by the steps that made them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from harmonia.federate.weight.base import Weight


class Nova(Weight):
    """Changes are divided by the steps that made them, so that many steps do not pull the average to a client.

    w + tau_eff sum_i p_i (v_i - w) / a_i with p_i = n_i / sum_j n_j and tau_eff = sum_i p_i a_i; a_i = K_i for plain
    steps, and with momentum rho the sum of what each gradient counts in the end,
    a_i = (K_i - rho (1 - rho^K_i) / (1 - rho)) / (1 - rho). FedNova: Wang et al. 2020 (arXiv 2007.07481).
    """

    kind: Literal["nova"] = "nova"
    references: ClassVar[tuple[str, ...]] = ("wang2020fednova",)

    momentum: float = Field(0.0, ge=0, lt=1)
    """rho, momentum of the local steps; the same as ``training.momentum``."""

    def unit(self, examples: float, steps: int) -> float:
        return examples / self.reach(steps)

    def scale(self, examples: Sequence[float], steps: Sequence[int]) -> float:
        effective = sum(n * self.reach(k) for n, k in zip(examples, steps, strict=True))
        return effective / sum(examples) ** 2

    def reach(self, steps: int) -> float:
        """Return a_i: how far so many steps along one gradient lead, in learning rates.

        >>> Nova().reach(5), Nova(momentum=0.5).reach(2)
        (5.0, 2.5)
        """
        rho = self.momentum
        return (steps - rho * (1 - rho**steps) / (1 - rho)) / (1 - rho)
