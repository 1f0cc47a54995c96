"""MAS: weights that the actions are sensitive to stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.decide.learner import Learner, Surroundings
from harmonia.decide.stream.base import Stream, StreamRule
from harmonia.decide.stream.importance import loss_sensitivity, output_sensitivity
from harmonia.decide.stream.quadratic import ClipCovers, QuadraticPenalty

if TYPE_CHECKING:
    from torch import Tensor


class MAS(Stream):
    """Memory aware synapses: weights are pulled back by how much earlier tasks' actions depend on them.

    (lam / 2) sum_j O_j (theta_j - theta*_j)^2 with O the mean over windows of |d ||f(x)||^2 / d theta|, which needs no
    targets, and O <- alpha O + (1 - alpha) O_k. Aljundi et al. 2018 (arXiv 1711.09601).
    """

    kind: Literal["mas"] = "mas"
    references: ClassVar[tuple[str, ...]] = ("aljundi2018mas",)

    heads: Literal["shared", "per-task"] = "per-task"
    """One output head for all tasks, or one each."""
    lam: float = Field(10, ge=0)
    """Strength; 0 is plain finetuning."""
    alpha: float = Field(0.5, ge=0, lt=1)
    """Weight of the earlier tasks in the running average of O."""
    samples: int = Field(512, ge=1)
    """Windows from which O is measured."""
    of: Literal["output", "loss"] = "output"
    """output: sensitivity of the squared length of the actions. loss: of the loss, as some released codes compute it;
    it vanishes where the task is solved."""
    clip_covers: ClipCovers = "data"
    """Whether gradient clipping covers the data's gradient alone, or the penalty's as well."""

    def start(self, learner: Learner, around: Surroundings) -> StreamRule:
        return MASRule(learner, around, self)


class MASRule(QuadraticPenalty):
    """A quadratic penalty whose importance is a sensitivity."""

    def __init__(self, learner: Learner, around: Surroundings, part: MAS) -> None:
        super().__init__(learner, around, part.lam, part.alpha, part.clip_covers)
        self.part = part

    def consolidated(self, task: int) -> Tensor:
        sensitivity = output_sensitivity if self.part.of == "output" else loss_sensitivity
        now = sensitivity(self.learner, task, self.windows(task, self.part.samples))
        return self.averaged(self.importance, now)
