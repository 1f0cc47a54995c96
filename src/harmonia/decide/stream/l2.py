"""L2: stay where the last task ended."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from harmonia.decide.learner import Learner, Surroundings
from harmonia.decide.stream.base import Stream, StreamRule
from harmonia.decide.stream.quadratic import ClipCovers, QuadraticPenalty


class L2(Stream):
    """Every shared weight is pulled alike to where the last task left it.

    (lam / 2) ||theta - theta*||^2: the control of EWC, whose weights differ in how hard they are pulled (Kirkpatrick et
    al. 2017, arXiv 1612.00796).
    """

    kind: Literal["l2"] = "l2"
    references: ClassVar[tuple[str, ...]] = ("kirkpatrick2017ewc",)

    heads: Literal["shared", "per-task"] = "per-task"
    """One output head for all tasks, or one each."""
    lam: float = Field(5000, ge=0)
    """Strength; 0 is plain finetuning. Gradient descent diverges where learning rate times lam exceeds 2."""
    clip_covers: ClipCovers = "data"
    """Whether gradient clipping covers the data's gradient alone, or the penalty's as well."""

    def start(self, learner: Learner, around: Surroundings) -> StreamRule:
        return QuadraticPenalty(learner, around, self.lam, clip_covers=self.clip_covers)
