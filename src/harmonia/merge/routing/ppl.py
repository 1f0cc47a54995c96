"""Experts that find a text the least surprising."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from harmonia.merge.routing.base import Decides, Router


class Ppl(Router):
    """The experts of the lowest perplexity on the prompt work, chosen once; nothing is trained.

    PPL_i = exp(-mean_j log P_i(x_j | x_<j)),   alpha = softmax over the K largest of 1 / PPL_i

    All experts read the prompt, and the winners go on with what they have read: no pass is wasted but the losers'.
    1 / PPL is in (0, 1], so that the weights are nearly even (at most 0.731 for K = 2); with ``neg_nll``, alpha is
    proportional to 1 / PPL, the weights of a Bayesian mixture. MergeME: Zhou et al. 2025 (arXiv 2502.00997).
    """

    kind: Literal["ppl"] = "ppl"
    references: ClassVar[tuple[str, ...]] = ("zhou2025mergeme",)
    main: ClassVar[str] = "top_k"

    score: Literal["inv_ppl", "neg_nll"] = "inv_ppl"
    """What the softmax is of: 1 / PPL, or log(1 / PPL)."""
    ppl_tokens: int | None = Field(None, ge=2)
    """How many tokens of a prompt are scored; None for all. 64 to 256 are enough to tell domains apart."""
    temperature: float = Field(1.0, gt=0)
    """Scores are divided by it."""

    def decides(self) -> Decides:
        return "ppl"

    def settings(self) -> dict[str, Any]:
        return {"score": self.score, "tokens": self.ppl_tokens, "temperature": self.temperature}
