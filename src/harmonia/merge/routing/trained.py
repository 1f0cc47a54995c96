"""Fields of routers that are trained by predicting the next token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.merge.routing.base import Router
from harmonia.merge.routing.gates import drawn_rows, small_uniform

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.merge.routing.examples import Fitting


class TrainedRouter(Router):
    """A gate that is trained on texts of all domains, each as often as the others; projectors are trained with it."""

    reads_examples: ClassVar[bool] = True
    draws: ClassVar[bool] = True

    steps: int = Field(200, ge=0)
    """Updates, of one batch each; 0 leaves the gate as it was drawn."""
    learning_rate: float = Field(1e-3, gt=0)
    """Of AdamW. The published 1e-5 is for tuning everything for billions of tokens."""
    weight_decay: float = Field(0.01, ge=0)
    """Of AdamW."""
    balance: float = Field(0.0, ge=0)
    """How much it counts that experts get equal shares: times l sum_i f_i p_i, f the share of tokens (or texts), p the
    mean probability before the choice (Switch Transformer, arXiv 2101.03961)."""
    trainer: Literal["loop", "hf"] = "loop"
    """A plain loop, or the Trainer of transformers, which needs accelerate."""

    def check(self, experts: int, *, base: bool, examples: bool, bridged: bool) -> None:
        super().check(experts, base=base, examples=examples, bridged=bridged)
        if self.top_k == 1 and experts > 1 and self.steps:
            raise InputError(
                "routing.top_k=1 gives whatever is chosen the weight 1, from which a gate learns nothing: take "
                "top_k=2, or routing=ridge-router"
            )

    def fit(self, fitting: Fitting) -> Mapping[str, Tensor]:
        from harmonia.merge.mixture.training import train

        for gate, rows in zip(fitting.mixture.gates(), drawn_rows(fitting, "gates", small_uniform), strict=True):
            gate.data.copy_(rows)
        if self.steps:
            assert fitting.examples is not None
            train(
                fitting.mixture,
                [fitting.examples.positive[expert] for expert in fitting.canonical()],
                steps=self.steps,
                learning_rate=self.learning_rate,
                weight_decay=self.weight_decay,
                balance=self.balance,
                trainer=self.trainer,
                seed=fitting.seed,
            )
        return {name: tensor for owner, name, tensor in fitting.mixture.named() if owner == "router"}
