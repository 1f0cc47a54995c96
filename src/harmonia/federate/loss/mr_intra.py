"""FedMR's first term: features of one class shall not collapse onto few dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.federate.loss.base import Loss
from harmonia.maths.class_decorrelation import Normalize, class_decorrelation
from harmonia.maths.class_means import class_members

if TYPE_CHECKING:
    from torch import Tensor


class MRIntra(Loss):
    """The dimensions of the features are decorrelated within each class of the batch, against local collapse.

    mu (1 / N) sum_c (1 / (d (d - 1))) sum_{i != j} (Z_c^T Z_c)_ij^2, with Z_c the rows of class c, centred and divided
    by their deviations. It is what the released code of FedMR does: Fan et al. 2023 (arXiv 2405.18983).
    """

    kind: Literal["mr-intra"] = "mr-intra"
    references: ClassVar[tuple[str, ...]] = ("fan2023fedmr",)
    main: ClassVar[str] = "mu"

    mu: float = Field(0.01, ge=0)
    """Weight of the term; 0 is plain cross entropy. With normalize released it was used at batches of 64."""
    normalize: Normalize = "released"
    """released: products of rows as they are, which grow with the batch. correlation: divided by n_c - 1, so that a
    collapsed class has value 1 whatever the batch."""
    min_samples: int = Field(2, ge=2)
    """Rows of a class in the batch from which on it counts; a class of two adds a constant only."""

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
        return self.mu * class_decorrelation(features, members, normalize=self.normalize, min_samples=self.min_samples)
