"""A linear head that stays as it was drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from harmonia.federate.head.base import Head
from harmonia.federate.head.linear import LinearMap

if TYPE_CHECKING:
    from torch import Tensor


class FrozenRandom(Head):
    """A linear head, drawn from the seed and the same for all, that is never trained: only the backbone learns.

    FedBABU: Oh et al. 2022 (arXiv 2106.06042). Its weights have no gradient, so that neither a perturbation nor the
    norm that gradients are clipped by counts them.
    """

    kind: Literal["frozen-random"] = "frozen-random"
    references: ClassVar[tuple[str, ...]] = ("oh2022fedbabu",)
    frozen: ClassVar[bool] = True

    def build(self, classes: int, features: int, seed: int) -> FrozenMap:
        return FrozenMap(classes, features, seed)


class FrozenMap(LinearMap):
    """A linear map through which no gradient reaches its weights."""

    def logits(
        self, weights: Tensor, features: Tensor, counts: Tensor | None, mode: Literal["local", "global"]
    ) -> Tensor:
        return super().logits(weights.detach(), features, counts, mode)
