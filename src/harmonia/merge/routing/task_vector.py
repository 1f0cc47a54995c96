"""Experts whose training went the way that a text asks for."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.merge.routing.base import Decides, Router


class TaskVector(Router):
    """The experts work whose task vectors are most similar to the gradient of the prompt; nothing is trained.

    g = gradient of the loss on the prompt at theta_b,   alpha = softmax over the K largest of cos(g, theta_b - theta_i)

    over the linear layers that are not shared. theta_b - theta_i is about the sum of the gradients of training. An
    expert that is the base itself scores 0. One forward and one backward pass of the base; no gradient is formed.
    MergeME: Zhou et al. 2025 (arXiv 2502.00997).
    """

    kind: Literal["task-vector"] = "task-vector"
    references: ClassVar[tuple[str, ...]] = ("zhou2025mergeme",)
    main: ClassVar[str] = "top_k"

    layers: int | None = Field(None, ge=1)
    """How many blocks count, the last ones; None for all."""
    temperature: float = Field(1.0, gt=0)
    """Scores are divided by it."""

    def check(self, experts: int, *, base: bool, examples: bool, bridged: bool) -> None:
        super().check(experts, base=base, examples=examples, bridged=bridged)
        if bridged:
            raise InputError("routing=task-vector needs one base for all, and bridging joins several: take routing=ppl")
        if not base:
            raise InputError("routing=task-vector works on base - expert: give the base that they were trained from")

    def decides(self) -> Decides:
        return "task-vector"

    def settings(self) -> dict[str, Any]:
        return {"layers": self.layers, "temperature": self.temperature}
