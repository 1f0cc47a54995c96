"""How good is a selection? Judges train something on it and measure held-out text of every source."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from harmonia.core.part import one_of
from harmonia.core.recipe import Recipe
from harmonia.select.judge.lm import LanguageModel
from harmonia.select.judge.probe import Probe

if TYPE_CHECKING:
    from harmonia.select.judge.base import Judge as AnyJudge
else:
    AnyJudge = one_of(LanguageModel, Probe)


class JudgeChoice(Recipe):
    """The record of a judge: one axis."""

    stage: ClassVar[str] = "select"

    judge: AnyJudge
    """What is trained on each selection."""


__all__ = ["AnyJudge", "JudgeChoice", "LanguageModel", "Probe"]
