"""FedDecorr: features of a batch shall not collapse onto few dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.federate.loss.base import Loss
from harmonia.maths.class_decorrelation import Normalize, class_decorrelation

if TYPE_CHECKING:
    from torch import Tensor


class Decorr(Loss):
    """The dimensions of the features are decorrelated over the whole batch, against dimensional collapse.

    beta (1 / B) (1 / (d (d - 1))) sum_{i != j} (Z^T Z)_ij^2, as the released code of FedDecorr has it: Shi et al. 2023
    (arXiv 2210.00226). The paper has ||K||_F^2 / d^2 with K = Z^T Z / (B - 1): ``normalize="correlation"`` times
    (d - 1) / d, and a constant for the diagonal of K.
    """

    kind: Literal["decorr"] = "decorr"
    references: ClassVar[tuple[str, ...]] = ("shi2023feddecorr",)
    main: ClassVar[str] = "beta"

    beta: float = Field(0.1, ge=0)
    """Weight of the term; 0 is plain cross entropy."""
    normalize: Normalize = "released"
    """released: products of rows as they are, which grow with the batch. correlation: divided by B - 1."""

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
        return self.beta * class_decorrelation(features, valid[..., None, :], normalize=self.normalize)
