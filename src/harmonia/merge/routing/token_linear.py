"""A trained gate for every layer that chooses experts for every token."""

from __future__ import annotations

from typing import ClassVar, Literal

from harmonia.merge.routing.base import Shared
from harmonia.merge.routing.trained import TrainedRouter


class TokenLinear(TrainedRouter):
    """A trained gate in every layer sends each token to K feed-forward experts.

    sum_{i in top K} alpha_i FF_i(v),   alpha = softmax over the K largest of theta_r v,   theta_r: (l, d)

    BTX: Sukhbaatar et al. 2024 (arXiv 2403.07816); softmax after the choice: Mixtral, Jiang et al. 2024
    (arXiv 2401.04088).
    """

    kind: Literal["token-linear"] = "token-linear"
    references: ClassVar[tuple[str, ...]] = ("sukhbaatar2024btx", "jiang2024mixtral", "zhou2025mergeme")
    main: ClassVar[str] = "top_k"
    per_token: ClassVar[bool] = True

    shared: Shared = "non-ffn"
    """What experts share; for single tokens only all but feed-forward layers."""
