"""Model Stock: from the base towards the mean of the experts, as far as they agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from harmonia.maths.consensus import weighted_sum
from harmonia.maths.model_stock import stock_ratio
from harmonia.merge.sources import Sources
from harmonia.merge.weights.base import Weights
from harmonia.merge.weights.gram import gram

if TYPE_CHECKING:
    from torch import Tensor


class ModelStock(Weights):
    """From the base towards the mean of the experts, as far as their task vectors agree in direction, tensor by tensor.

    t mean_i theta_i + (1 - t) theta_0 with t = n c / (1 + (n - 1) c), c the mean cosine of pairs of task vectors; c < 0
    counts as 0. Model Stock: Jang et al. 2024 (arXiv 2403.19522).
    """

    kind: Literal["model-stock"] = "model-stock"
    references: ClassVar[tuple[str, ...]] = ("jang2024stock",)
    least: ClassVar[int] = 2
    weighs: ClassVar[bool] = False

    def merged(self, tensor: Sources, counts: Sequence[float], seed: int, known: Any) -> Iterator[Tensor]:
        ratio = stock_ratio(gram(tensor, "tasks"))
        for piece in tensor.pieces():
            assert piece.base is not None
            yield weighted_sum(piece.tasks, [1.0] * tensor.experts, normalize=True).mul_(ratio).add_(piece.base)
