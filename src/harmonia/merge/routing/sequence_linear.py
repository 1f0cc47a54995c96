"""A trained gate that chooses experts for a whole text by its mean embedding."""

from __future__ import annotations

from typing import ClassVar, Literal

from harmonia.merge.routing.base import Decides
from harmonia.merge.routing.trained import TrainedRouter


class SequenceLinear(TrainedRouter):
    """A trained gate chooses K experts for a text by its mean embedding; they may differ in width.

    alpha = softmax over the K largest of theta_r mean_j e_j,   theta_r: (l, d_m)

    MergeME: Zhou et al. 2025 (arXiv 2502.00997).
    """

    kind: Literal["sequence-linear"] = "sequence-linear"
    references: ClassVar[tuple[str, ...]] = ("zhou2025mergeme",)
    main: ClassVar[str] = "top_k"

    def decides(self) -> Decides:
        return "sequence-gate"
