"""A linear map with a bias: the head that nearly every classifier has."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from harmonia.core.errors import InputError
from harmonia.core.seeds import generator
from harmonia.federate.head.base import Head, HeadMap

if TYPE_CHECKING:
    from torch import Tensor


class LinearHead(Head):
    """A trained linear map, shared and averaged with the rest: o = V f + b, with C d + C weights.

    McMahan et al. 2017 (arXiv 1602.05629).
    """

    kind: Literal["linear"] = "linear"
    references: ClassVar[tuple[str, ...]] = ("mcmahan2017fedavg",)

    def build(self, classes: int, features: int, seed: int) -> LinearMap:
        return LinearMap(classes, features, seed)


class LinearMap(HeadMap):
    """A linear map per client: weights are [V row by row | b].

    Args:
        classes: C.
        features: d.
        seed: of the first weights, uniform in +-1/sqrt(d).
    """

    def __init__(self, classes: int, features: int, seed: int) -> None:
        if classes < 2:
            raise InputError(f"a head of {classes} classes: give at least 2")
        self.classes, self.features, self.seed = classes, features, seed
        self.size = classes * features + classes

    def initial(self) -> Tensor:
        import torch

        bound = self.features**-0.5
        drawn = generator(self.seed, "head").uniform(-bound, bound, self.size)
        return torch.from_numpy(drawn).to(torch.get_default_dtype())

    def logits(
        self, weights: Tensor, features: Tensor, counts: Tensor | None, mode: Literal["local", "global"]
    ) -> Tensor:
        import torch

        check_features(features, self.features)
        matrix, bias = weights.split([self.size - self.classes, self.classes], dim=1)
        rows = matrix.unflatten(1, (self.classes, self.features))
        return torch.baddbmm(bias[:, None], features, rows.mT)


def check_features(features: Tensor, width: int) -> None:
    """Refuse features that are not (m, B, d) for a head of d features.

    Raises:
        InputError: they are not.
    """
    if features.dim() != 3 or features.shape[-1] != width:
        raise InputError(f"features of shape {tuple(features.shape)}: the head takes (clients, batch, {width})")
