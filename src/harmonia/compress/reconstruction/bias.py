"""Bias: the mean of what is gone stays."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from harmonia.compress.reconstruction.base import (
    Reconstruction,
    Repaired,
    balanced,
    check,
    moments_for,
    squared_error,
)
from harmonia.compress.site import Seen


class Bias(Reconstruction):
    """The bias takes up the mean of the removed inputs: W' = W_S, b' = b + W_R mean_R.

    (d_out, s) and (d_out,). FLAP: An et al. 2023 (arXiv 2312.11983).
    """

    kind: Literal["bias"] = "bias"
    references: ClassVar[tuple[str, ...]] = ("an2023flap",)

    def repair(
        self, weight: np.ndarray, bias: np.ndarray | None, seen: Seen | None, kept: np.ndarray, run: int = 1
    ) -> Repaired:
        check(weight, bias, seen, kept, run)
        moments = moments_for(self.kind, seen)
        new = weight[:, kept]
        if new.shape == weight.shape and moments.wanted is None:
            return Repaired(weight, bias, 0.0)
        shift = balanced(weight, bias, moments, kept, new)
        return Repaired(new, shift, squared_error(weight, bias, moments, kept, new, shift))
