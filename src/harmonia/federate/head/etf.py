"""Class vectors that are given: a simplex, all classes equally far apart, the same at every client."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.core.seeds import generator
from harmonia.federate.head.base import Head, HeadMap
from harmonia.federate.head.linear import check_features
from harmonia.maths.simplex_etf import simplex_etf

if TYPE_CHECKING:
    from torch import Tensor

Basis = Literal["qr", "canonical"]
FeatureNorm = Literal["l2", "none"]


class Etf(Head):
    """A head that is drawn, never trained and never sent: o = s W^T f, W a simplex of unit class vectors.

    Clients that lack classes cannot turn the class vectors against each other. Without the projector, the balanced
    loss and the finetuning of FedETF (arXiv 2303.10058).
    """

    kind: Literal["etf"] = "etf"
    references: ClassVar[tuple[str, ...]] = ("li2023fedetf", "papyan2020neural")
    main: ClassVar[str] = "scale"

    scale: float = Field(10.0, gt=0)
    """s, on the logits; the inverse of a temperature. With l2 features logits lie within +-s."""
    feature_norm: FeatureNorm = "l2"
    """Whether features are brought to length 1 first."""
    basis: Basis = "qr"
    """qr draws the directions from the seed. canonical takes the first C features, centred: no product at all, for
    classes in the thousands; the other features then get no gradient through the logits."""

    def build(self, classes: int, features: int, seed: int) -> GivenHead:
        return GivenHead(*directions(classes, features, seed, self.basis), self.scale, self.feature_norm)


def directions(classes: int, features: int, seed: int, basis: Basis) -> tuple[Tensor, bool]:
    """Return the class vectors (d, C), and whether they are the canonical ones."""
    import torch

    frame = simplex_etf(classes, features, generator(seed, "head"), basis)
    return torch.from_numpy(frame).to(torch.get_default_dtype()), basis == "canonical"


class GivenHead(HeadMap):
    """Logits by class vectors that are given: o = s W^T f / |f|.

    The scale is in W, and a division by |f| is done on C logits, not on d features.

    Args:
        vectors: (d, C) W.
        canonical: whether W is sqrt(C / (C - 1)) (I - 11^T / C) over zeros, so that no product is needed.
        scale: s.
        feature_norm: l2 to divide by |f|.
    """

    def __init__(
        self, vectors: Tensor, canonical: bool = False, scale: float = 1.0, feature_norm: FeatureNorm = "l2"
    ) -> None:
        self.vectors: Tensor = vectors
        self.features, self.classes = vectors.shape
        self.canonical, self.scale, self.feature_norm = canonical, scale, feature_norm
        self._scaled = scale * vectors

    def initial(self) -> Tensor:
        return self.vectors.new_empty(0)

    def logits(
        self, weights: Tensor, features: Tensor, counts: Tensor | None, mode: Literal["local", "global"]
    ) -> Tensor:
        check_features(features, self.features)
        found = self._centred(features) if self.canonical else features @ self._scaled.to(features)
        if self.feature_norm == "l2":
            found = found / features.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        return found

    def _centred(self, features: Tensor) -> Tensor:
        own = features[..., : self.classes]
        stretch = self.scale * (self.classes / (self.classes - 1)) ** 0.5
        return stretch * (own - own.mean(dim=-1, keepdim=True))
