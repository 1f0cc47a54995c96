"""A prompt: a few steps of a good trajectory of the task, put before the window (Xu et al. 2022, arXiv 2206.13499)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from harmonia.decide.conditioning.base import Conditioning, Prompting


class Prompt(Conditioning):
    """The network is shown a few steps of a good trajectory of the task before its window.

    3 P0 tokens with embeddings of their own. Prompts come from trajectories that are not trained on, as a prompt that
    the windows are drawn from could be copied.
    """

    kind: Literal["prompt"] = "prompt"

    steps: Annotated[int, Field(ge=1, le=1000)] = 5
    """P0, steps of the prompt."""
    best: Annotated[int, Field(ge=1, le=10_000)] = 5
    """k: a prompt comes from one of the k held-out trajectories of the task with the highest return."""
    place: Literal["uniform", "tail"] = "uniform"
    """Where in its trajectory a prompt lies: anywhere with equal chance, or at the end, as in the released codes."""

    references: ClassVar[tuple[str, ...]] = ("xu2022prompting",)

    @property
    def prompting(self) -> Prompting:
        return Prompting(self.steps, self.place, self.best)
