"""Cross entropy, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from harmonia.federate.loss.base import Loss

if TYPE_CHECKING:
    from torch import Tensor


class CE(Loss):
    """Cross entropy of the examples alone."""

    kind: Literal["ce"] = "ce"
    plain: ClassVar[bool] = True

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
        return features.new_zeros(len(features))
