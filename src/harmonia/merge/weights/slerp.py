"""SLERP: two models, along the arc between them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from harmonia.maths.consensus import weighted_sum
from harmonia.maths.spherical import COLLINEAR, cosine, slerp_coefficients
from harmonia.merge.sources import Sources
from harmonia.merge.weights.base import Weights
from harmonia.merge.weights.gram import gram
from harmonia.merge.weights.zero_sum import refuse_zero_sum

if TYPE_CHECKING:
    from torch import Tensor


class Slerp(Weights):
    """Two models are merged along the arc between them, tensor by tensor, instead of along the chord.

    (sin((1 - t) T) u + sin(t T) v) / sin T, T the angle between u and v; where they are collinear, |cos T| > 0.9995,
    (1 - t) u + t v. So two models of one norm keep it. Shoemake 1985.
    """

    kind: Literal["slerp"] = "slerp"
    references: ClassVar[tuple[str, ...]] = ("shoemake1985slerp",)
    main: ClassVar[str] = "t"
    needs_base: ClassVar[bool] = False
    exactly: ClassVar[int | None] = 2

    t: float | None = Field(None, ge=0, le=1)
    """How far from the first model to the second; by default the share of the second's weight, half for equal ones."""

    def check(self, experts: int, has_base: bool, counts: Sequence[float]) -> None:
        super().check(experts, has_base, counts)
        refuse_zero_sum(self.t is None, counts)

    def merged(self, tensor: Sources, counts: Sequence[float], seed: int, known: Any) -> Iterator[Tensor]:
        t = counts[1] / sum(counts) if self.t is None else self.t
        products = gram(tensor, "experts")
        coefficients = slerp_coefficients(products, t)
        if (cosine(products) or 0) < -COLLINEAR:
            warnings.warn(
                f"{tensor.name}: the two models point in opposite directions and cancel out when merged; "
                "are they of one family?",
                stacklevel=2,
            )
        for piece in tensor.pieces():
            u, v = piece.experts
            if coefficients is not None:
                yield weighted_sum(piece.experts, coefficients)
            elif t < 0.5:  # from the nearer end, so that both ends and equal models come out exactly
                yield u + (v - u) * t
            else:
                yield v - (v - u) * (1 - t)
