"""FedGELA's head: given class vectors, each scaled at a client by how much of the class it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.federate.head.base import Head
from harmonia.federate.head.etf import Basis, FeatureNorm, GivenHead, directions

if TYPE_CHECKING:
    from torch import Tensor


class Gela(Head):
    """A simplex of class vectors for all; at client k logits are scaled by its classes: o = s diag(phi_k) W^T f.

    phi_kc = C n_kc / n_k, which sums to C: 1 where classes are balanced, 0 for one that is missing, whose logit is
    then 0 and remains a competitor. The global model has phi = 1. FedGELA: Fan et al. 2023 (arXiv 2405.18972).
    """

    kind: Literal["gela"] = "gela"
    references: ClassVar[tuple[str, ...]] = ("fan2023fedgela", "papyan2020neural")
    main: ClassVar[str] = "scale"
    personal: ClassVar[bool] = True

    scale: float = Field(10.0, gt=0)
    """s, on the logits; the inverse of a temperature. At large s the missing class at logit 0 binds, and the angles
    between the present ones stay those of the simplex."""
    feature_norm: FeatureNorm = "l2"
    """Whether features are brought to length 1 first."""
    smoothing: float = Field(0.0, ge=0)
    """Examples added to every class of every client before phi is taken; large values make phi = 1."""
    mask_missing: bool = False
    """Whether missing classes leave the soft-max altogether; a client of one class then learns nothing."""
    basis: Basis = "qr"
    """qr draws the directions from the seed. canonical takes the first C features, centred: no product at all, for
    classes in the thousands; the other features then get no gradient through the logits."""

    def build(self, classes: int, features: int, seed: int) -> AdaptedHead:
        given = directions(classes, features, seed, self.basis)
        return AdaptedHead(*given, self.scale, self.feature_norm, self.smoothing, self.mask_missing)


class AdaptedHead(GivenHead):
    """Given class vectors, scaled by the classes of each client in mode local.

    Args:
        vectors: (d, C) W.
        canonical: whether W is the canonical simplex.
        scale: s.
        feature_norm: l2 to divide by |f|.
        smoothing: examples added to every class.
        mask_missing: whether logits of missing classes are as low as numbers go.
    """

    def __init__(
        self,
        vectors: Tensor,
        canonical: bool = False,
        scale: float = 1.0,
        feature_norm: FeatureNorm = "l2",
        smoothing: float = 0.0,
        mask_missing: bool = False,
    ) -> None:
        super().__init__(vectors, canonical, scale, feature_norm)
        self.smoothing, self.mask_missing = smoothing, mask_missing

    def logits(
        self, weights: Tensor, features: Tensor, counts: Tensor | None, mode: Literal["local", "global"]
    ) -> Tensor:
        import torch

        found = super().logits(weights, features, counts, mode)
        if mode == "global":
            return found
        if counts is None:
            raise InputError("head=gela adapts to a client's classes: give counts (clients, classes), or mode='global'")
        if counts.shape != (len(features), self.classes):
            raise InputError(
                f"counts of shape {tuple(counts.shape)}: head=gela needs ({len(features)}, {self.classes}), "
                "examples per class of each client"
            )
        found = found * class_scales(counts, self.smoothing).to(found)[:, None]
        if self.mask_missing:
            # not -inf: padding may carry the label of a missing class, and inf times its weight 0 is no number
            found = torch.where(counts[:, None] > 0, found, torch.finfo(found.dtype).min / 4)
        return found


def class_scales(counts: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return phi = C n_c / n of each client, n_c and n with so many examples added to every class: (..., C).

    >>> import torch
    >>> class_scales(torch.tensor([30., 10., 0.])).tolist()
    [2.25, 0.75, 0.0]
    """
    smoothed = counts + smoothing
    return counts.shape[-1] * smoothed / smoothed.sum(dim=-1, keepdim=True)


def check_counts(counts: Tensor, classes: int) -> None:
    """Refuse counts that are of no client: for where they come from outside, once, as it reads their values.

    Raises:
        InputError: a wrong number of classes, a negative count, or a client without any example.
    """
    if counts.shape[-1] != classes:
        raise InputError(f"counts of {counts.shape[-1]} classes, but the head has {classes}")
    if bool((counts < 0).any()):
        raise InputError(f"counts are negative: {counts.min().item():g} is no number of examples")
    empty = (counts.sum(dim=-1) == 0).reshape(-1).nonzero()
    if len(empty):
        raise InputError(f"client {int(empty[0])} of the counts has no example of any class: leave it out")
