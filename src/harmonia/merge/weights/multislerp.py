"""The mean direction of several models on the sphere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.maths.consensus import weighted_sum
from harmonia.maths.spherical import karcher_coefficients
from harmonia.merge.sources import Sources
from harmonia.merge.weights.base import Weights
from harmonia.merge.weights.gram import gram
from harmonia.merge.weights.zero_sum import refuse_zero_sum

if TYPE_CHECKING:
    from torch import Tensor


class MultiSlerp(Weights):
    """Several models are merged into their mean direction on the sphere, with their mean norm, tensor by tensor.

    The Karcher mean of theta_i / |theta_i|, the direction with the least sum of w_i angle^2, times sum_i w_i |theta_i|,
    weights divided by their sum. With two models it is SLERP of their directions. Karcher 1977.
    """

    kind: Literal["multislerp"] = "multislerp"
    references: ClassVar[tuple[str, ...]] = ("karcher1977riemannian",)
    needs_base: ClassVar[bool] = False

    iterations: int = Field(10, ge=1)
    """At most so many steps to the mean."""
    tolerance: float = Field(1e-5, gt=0)
    """Stop when a step is shorter, in radians."""

    def check(self, experts: int, has_base: bool, counts: Sequence[float]) -> None:
        super().check(experts, has_base, counts)
        if min(counts) < 0:
            raise InputError("weights=multislerp is a mean of directions: give weights that are not negative")
        refuse_zero_sum(True, counts)

    def merged(self, tensor: Sources, counts: Sequence[float], seed: int, known: Any) -> Iterator[Tensor]:
        coefficients = self._coefficients(gram(tensor, "experts"), np.array(counts) / sum(counts))
        if coefficients is None:
            raise InputError(
                f"{tensor.name}: the models point in opposite directions, which have no mean: take weights=linear"
            )
        for piece in tensor.pieces():
            yield weighted_sum(piece.experts, coefficients.tolist())

    def _coefficients(self, gram: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
        """Return the factor of each model: (n,); a model that is zero has no direction, and a norm that counts."""
        lengths = np.sqrt(np.diag(gram))
        found = np.zeros(len(gram))
        some = (lengths > 0) & (weights > 0)
        if some.any():
            share = weights[some] / weights[some].sum()
            mean = karcher_coefficients(gram[np.ix_(some, some)], share, self.iterations, self.tolerance)
            if mean is None:
                return None
            found[some] = mean / lengths[some] * (weights @ lengths)
        return found
