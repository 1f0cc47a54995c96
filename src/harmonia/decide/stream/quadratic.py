"""What L2, EWC, MAS and RWalk have in common: a spring from every shared weight to where the last task left it.

    (lam / 2) sum_j I_j (theta_j - theta*_j)^2

Importances of tasks are averaged, I <- alpha I + (1 - alpha) I_k, and theta* is the solution of the last task.
The data's gradient is clipped first and the spring's is added afterwards, so that clipping does not change what ``lam``
means. Plain gradient descent diverges where rate lam I_j > 2; Adam, whose steps are bounded, then swings around theta*
with steps as large as its rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from harmonia.decide.stream.base import StreamRule

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.data.trajectories.windows import Windows
    from harmonia.decide.learner import Learner, Surroundings

ClipCovers = Literal["data", "all"]
"""Whether clipping covers the data's gradient, or that of the penalty as well, as in released codes."""


class QuadraticPenalty(StreamRule):
    """The penalty at work; the base has I = 1.

    Attributes:
        anchor: theta*, (common,), or None before the first task is finished: no penalty then.
        importance: I, (common,), or None for 1.
        finished: how many tasks are finished.
    """

    def __init__(
        self, learner: Learner, around: Surroundings, lam: float, alpha: float = 0.5, clip_covers: ClipCovers = "data"
    ) -> None:
        super().__init__(learner, around)
        self.lam = lam
        self.alpha = alpha
        self.clip_covers = clip_covers
        self.anchor: Tensor | None = None
        self.importance: Tensor | None = None
        self.finished = 0

    def consolidated(self, task: int) -> Tensor | None:
        """Return I once this task, which was just learned, has been taken in: (common,), or None for 1."""
        return None

    def loss(self, vector: Tensor, task: int, windows: Windows) -> Tensor | None:
        if self.anchor is None or self.clip_covers == "data":
            return None
        shared = vector[self.learner.common]
        return (self.pull(shared) * (shared - self.anchor)).sum() / 2

    def gradient(self, vector: Tensor, gradient: Tensor, task: int, step: int) -> Tensor:
        if self.anchor is None or self.clip_covers == "all":
            return gradient
        guarded = gradient.clone()
        guarded[self.learner.common] += self.pull(vector[self.learner.common])
        return guarded

    def pull(self, shared: Tensor) -> Tensor:
        """Return the gradient of the penalty at these shared weights: (common,)."""
        assert self.anchor is not None
        away = self.lam * (shared - self.anchor)
        return away if self.importance is None else self.importance * away

    def end_task(self, task: int) -> None:
        self.importance = self.consolidated(task)
        self.anchor = self.learner.vector[self.learner.common].detach().clone()
        self.finished += 1

    def averaged(self, earlier: Tensor | None, now: Tensor) -> Tensor:
        """Return alpha earlier + (1 - alpha) now, and ``now`` for the first task."""
        return now if earlier is None else self.alpha * earlier + (1 - self.alpha) * now

    def windows(self, task: int, count: int) -> Windows:
        """Return windows of a task to measure importances on: (1, count, K, ...) tensors."""
        return self.around.draw([task], count, "importance", self.finished)

    def tensors(self) -> dict[str, Tensor | None]:
        """Return everything learned but ``finished``, by the name of its attribute."""
        return {"anchor": self.anchor, "importance": self.importance}

    def state(self) -> dict[str, np.ndarray]:
        held = {name: value.cpu().numpy().copy() for name, value in self.tensors().items() if value is not None}
        return {**held, "finished": np.array(self.finished)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        import torch

        for name in self.tensors():
            found = torch.from_numpy(state[name].copy()) if name in state else None
            setattr(self, name, None if found is None else found.to(self.learner.setting.device))
        self.finished = int(state["finished"])
