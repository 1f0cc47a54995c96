"""The weighted average of the experts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harmonia.maths.consensus import weighted_sum
from harmonia.merge.sources import Sources
from harmonia.merge.weights.base import Weights
from harmonia.merge.weights.zero_sum import refuse_zero_sum

if TYPE_CHECKING:
    from torch import Tensor


class Linear(Weights):
    """The weighted average of the experts; no base is needed.

    sum_i w_i theta_i / sum_i w_i. Model soups: Wortsman et al. 2022 (arXiv 2203.05482).
    """

    kind: Literal["linear"] = "linear"
    references: ClassVar[tuple[str, ...]] = ("wortsman2022soups",)
    needs_base: ClassVar[bool] = False

    normalize: bool = True
    """Divide by the sum of the weights."""

    def check(self, experts: int, has_base: bool, counts: Sequence[float]) -> None:
        super().check(experts, has_base, counts)
        refuse_zero_sum(self.normalize, counts)

    def merged(self, tensor: Sources, counts: Sequence[float], seed: int, known: Any) -> Iterator[Tensor]:
        for piece in tensor.pieces():
            yield weighted_sum(piece.experts, counts, self.normalize)
