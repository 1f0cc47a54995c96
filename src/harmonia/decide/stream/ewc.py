"""EWC: weights that mattered stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.decide.learner import Learner, Surroundings
from harmonia.decide.stream.base import Stream, StreamRule
from harmonia.decide.stream.importance import fisher
from harmonia.decide.stream.quadratic import ClipCovers, QuadraticPenalty

if TYPE_CHECKING:
    from torch import Tensor


class EWC(Stream):
    """Elastic weight consolidation: weights are pulled back by how much earlier losses depend on them.

    (lam / 2) sum_j F_j (theta_j - theta*_j)^2 with F the diagonal of the empirical Fisher information, the mean over
    windows of the SQUARED gradient of each window's loss, and F <- alpha F + (1 - alpha) F_k. Kirkpatrick et al. 2017
    (arXiv 1612.00796); the running average: Schwarz et al. 2018 (arXiv 1805.06370).
    """

    kind: Literal["ewc"] = "ewc"
    references: ClassVar[tuple[str, ...]] = ("kirkpatrick2017ewc", "schwarz2018progress")

    heads: Literal["shared", "per-task"] = "per-task"
    """One output head for all tasks, or one each."""
    lam: float = Field(5000, ge=0)
    """Strength; 0 is plain finetuning."""
    alpha: float = Field(0.5, ge=0, lt=1)
    """Weight of the earlier tasks in the running average of F."""
    samples: int = Field(512, ge=1)
    """Windows from which F is measured."""
    fisher: Literal["sample", "batch"] = "sample"
    """sample: mean of squared gradients. batch: square of the mean gradient, as released codes compute it; gradients of
    different windows cancel in it, so it is far smaller."""
    clip_covers: ClipCovers = "data"
    """Whether gradient clipping covers the data's gradient alone, or the penalty's as well."""

    def start(self, learner: Learner, around: Surroundings) -> StreamRule:
        return EWCRule(learner, around, self)


class EWCRule(QuadraticPenalty):
    """A quadratic penalty whose importance is the Fisher information."""

    def __init__(self, learner: Learner, around: Surroundings, part: EWC) -> None:
        super().__init__(learner, around, part.lam, part.alpha, part.clip_covers)
        self.part = part

    def consolidated(self, task: int) -> Tensor:
        now = fisher(self.learner, task, self.windows(task, self.part.samples), self.part.fisher)
        return self.averaged(self.importance, now)
