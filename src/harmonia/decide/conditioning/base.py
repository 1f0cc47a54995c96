"""The axis ``conditioning``: what the network is told of the task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from harmonia.core.part import Part

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Prompting:
    """A few steps of a good trajectory of the task.

    Attributes:
        steps: P0, their number.
        place: where in its episode a prompt lies.
        best: from how many of the task's best prompt episodes a prompt is drawn.
    """

    steps: int
    place: Literal["uniform", "tail"]
    best: int


class Conditioning(Part):
    """What the network is told of the task."""

    open_to_unseen: ClassVar[bool] = True
    """Whether it can be told of a task that it never learned."""

    def vectors(self, names: Sequence[str], texts: Sequence[str]) -> np.ndarray | None:
        """Return one vector per task, (n, C) float32; None when the network gets none.

        Raises:
            InputError: the tasks cannot be told apart by it; the message names the task.
        """
        return None

    @property
    def prompting(self) -> Prompting | None:
        """The prompt that stands before the window; None where there is none."""
        return None
