"""Every set of a size is as good as any other: the objective of random and of full selection."""

from __future__ import annotations

from typing import Literal

import numpy as np

from harmonia.select.context import Context
from harmonia.select.objective.base import Objective
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular


class Constant(Objective):
    """No preference: every document scores 0, so the solver's own rule decides (noise, quotas, row order)."""

    kind: Literal["constant"] = "constant"

    def fit(self, pool: Pool, context: Context) -> Modular:
        return Modular("constant", np.zeros(len(pool)))
