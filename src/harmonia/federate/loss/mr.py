"""FedMR: decorrelation within classes, and a margin between classes by prototypes that all clients share."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.federate.loss.base import Loss
from harmonia.federate.needs import Item, Needs
from harmonia.federate.server_rule import ServerRule
from harmonia.maths.class_decorrelation import Normalize, class_decorrelation
from harmonia.maths.class_means import class_means, class_members, merged_means

if TYPE_CHECKING:
    from torch import Tensor


class MR(Loss):
    """Features spread within each class, and each class stays nearer to its prototype than to those of others.

    mu_intra times the term of ``mr-intra``, plus mu_inter times

    mean over present c and known c' != c of max(0, margin + mean_{i in c} [D(h_i, g_c) - D(h_i, g_c')]), D = |.|^2 / d,

    with g_c the mean feature of class c over all clients that reported it. The paper (Fan et al. 2023,
    arXiv 2405.18983) has a term of this kind, but its release has none: THE SECOND TERM IS A RECONSTRUCTION, not
    checked against the paper's own results. In the first round there are no prototypes, and it is 0.
    """

    kind: Literal["mr"] = "mr"
    references: ClassVar[tuple[str, ...]] = ("fan2023fedmr",)

    mu_intra: float = Field(0.01, ge=0)
    """Weight of the decorrelation within classes."""
    mu_inter: float = Field(0.1, ge=0)
    """Weight of the margin between classes; no published value is known."""
    margin: float = Field(0.0, ge=0)
    """How much nearer its own prototype a class must be, as squared distance per dimension."""
    anchors: Literal["prototypes", "head"] = "prototypes"
    """prototypes: class means, which clients send as sums and counts. head: the class vectors of a head that is given,
    so that nothing more is sent."""
    normalize: Normalize = "released"
    """As of ``mr-intra``."""
    min_samples: int = Field(2, ge=2)
    """As of ``mr-intra``."""

    @property
    def needs(self) -> Needs:
        if self.anchors_from_head or not self.mu_inter:
            return Needs()
        prototypes = (Item("prototypes", "Cd", "mean features of the classes"), Item("known", "C", "which there are"))
        return Needs(
            down=prototypes,
            up=(
                Item("class_sums", "Cd", "sums of features per class"),
                Item("class_counts", "C", "examples per class"),
            ),
            server=prototypes,
        )

    @property
    def anchors_from_head(self) -> bool:
        return self.anchors == "head" and self.mu_inter > 0

    def term(
        self,
        features: Tensor,
        labels: Tensor,
        valid: Tensor,
        *,
        classes: int,
        anchors: Tensor | None = None,
        known: Tensor | None = None,
        others: dict[str, Tensor] | None = None,
    ) -> Tensor:
        members = class_members(labels, classes, valid)
        within = class_decorrelation(features, members, normalize=self.normalize, min_samples=self.min_samples)
        if anchors is None or not self.mu_inter:
            return self.mu_intra * within
        between = prototype_margin(features, members, anchors, known, self.margin)
        return self.mu_intra * within + self.mu_inter * between

    def server(self) -> Prototypes | None:
        return Prototypes() if self.needs.up else None


def prototype_margin(
    features: Tensor,
    members: Tensor,
    prototypes: Tensor,
    known: Tensor | None = None,
    margin: float = 0.0,
) -> Tensor:
    """Return by how much classes are nearer to the prototypes of others than to their own: (...), at least 0.

    |h|^2 is in both distances, so that what is compared is linear in h, and the mean row of each class is enough.

    Args:
        features: (..., B, d).
        members: (..., C, B) bool, which row is of which class.
        prototypes: (..., C, d).
        known: (..., C) bool, which prototypes there are; None for all.
        margin: how much nearer the own prototype must be.

    Raises:
        InputError: the prototypes are of other classes or dimensions.
    """
    import torch

    classes, width = prototypes.shape[-2:]
    if (members.shape[-2], features.shape[-1]) != (classes, width):
        raise InputError(
            f"prototypes of shape ({classes}, {width}), but there are {members.shape[-2]} classes and "
            f"{features.shape[-1]} features"
        )
    means, counts = class_means(features, members)
    there = torch.ones_like(prototypes[..., 0], dtype=torch.bool) if known is None else known.bool()
    # |h - g|^2 / d without |h|^2, of the mean of class c to prototype c': (..., C, C)
    distance = (prototypes.square().sum(dim=-1)[..., None, :] - 2 * means @ prototypes.mT) / width
    excess = (margin + distance.diagonal(dim1=-2, dim2=-1)[..., None] - distance).relu()
    other = ~torch.eye(classes, dtype=torch.bool, device=features.device)
    pairs = ((counts > 0) & there)[..., :, None] & there[..., None, :] & other
    return (excess * pairs).sum(dim=(-2, -1)) / pairs.sum(dim=(-2, -1)).clamp(min=1)


class Prototypes(ServerRule):
    """Keeps the mean features of the classes over the clients of the last averaged round.

    Sums begin anew with every round, so where models are relayed only the round right before an average counts:
    features of models that were never averaged lie in spaces of their own.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sums: dict[str, Tensor] = {}

    def down(self, model: Tensor) -> dict[str, Tensor]:
        self._sums = {}
        return dict(self.state)

    def receive(self, client: int, up: dict[str, Tensor]) -> None:
        for name in ("class_sums", "class_counts"):
            self._sums[name] = self._sums[name] + up[name] if name in self._sums else up[name]

    def end_round(self, before: Tensor, after: Tensor, steps: float, rate: float) -> None:
        sums, counts = self._sums["class_sums"], self._sums["class_counts"]
        merged = merged_means(sums, counts, self.state.get("prototypes"), self.state.get("known"))
        self.state["prototypes"], self.state["known"] = merged
