"""Loss gradients: g(x) = grad 1/T sum_t -log p(x_t | x_<t), the features of first-order influence.

<mean_i g(x_i), g(x)> is how much a small step on x lowers the loss of the targets. With cosine on both sides it is the
comparison that LESS makes, with plain gradients where LESS takes those that Adam would apply (Xia et al. 2024, arXiv
2402.04333).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from harmonia.select.features.tangent import Tangent


class LossGradient(Tangent):
    """Gradients of the language-modelling loss; cosine by default."""

    kind: Literal["loss-gradient"] = "loss-gradient"

    cosine: bool = True
    """Compare gradients of unit length on both sides; takes a backward pass per document."""

    references: ClassVar[tuple[str, ...]] = ("xia2024less", "hu2022lora")

    def readout(self, model: Any) -> tuple[Any, int]:
        from harmonia.models.tangent_lm import NextTokenLoss

        return NextTokenLoss(model), 1
