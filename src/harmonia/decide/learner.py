"""A learner: how tasks share one network, at work.

A ``Sharing`` part builds a learner; the trainer trains its ``vector`` through a list of phases. The losses of several
tasks are computed in one grouped pass; ``vector`` may carry a leading axis of tasks, (N, V), row i serving task i only,
which gives the gradient of every task in one backward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harmonia.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from harmonia.data.trajectories.windows import Windows
    from harmonia.decide.setting import Setting


@dataclass(frozen=True)
class Phase:
    """A stretch of training of some tasks.

    Attributes:
        name: what happens: ``"train"``, ``"retrain"``, ``"attention"``, ``"gate"``.
        tasks: indices of the tasks whose windows are drawn.
        steps: optimiser steps; 0 for a phase that only decides something.
        learning_rate: replaces that of the training settings.
        constant_rate: no decay of the learning rate within the phase.
    """

    name: str
    tasks: tuple[int, ...]
    steps: int
    learning_rate: float | None = None
    constant_rate: bool = False


@dataclass(frozen=True)
class Surroundings:
    """What a learner may ask for between phases and between steps.

    Attributes:
        draw: (tasks, batch, purpose, number) -> fresh windows of these tasks as tensors; the same arguments give the
            same windows; a purpose that begins with ``validation`` draws from held-out episodes.
        trial: (task, act) -> share of episodes that succeed when the environment of this task is played with
            ``act(windows) -> actions``; None where there is no environment.
        log: (event, facts) -> one line in the run's log.
        warn: tells the user.
        held_out: whether there are episodes to validate on.
    """

    draw: Callable[[Sequence[int], int, str, int], Windows]
    trial: Callable[[int, Callable[[Windows], Tensor]], float] | None = None
    log: Callable[..., None] = field(default=lambda event, **facts: None)
    warn: Callable[[str], None] = field(default=lambda message: None)
    held_out: bool = True


class Learner:
    """All tasks share every weight of the trunk; with one head for all, or one head per task.

    The base of the other learners, which override what differs. Layout of ``vector``: [embed | body | heads]. A learner
    with another layout overrides ``weights`` or ``actions``, ``common``, ``state``, ``restore`` and ``parameters_of``.

    Attributes:
        setting: network, tasks, sizes, seed.
        vector: (V,) what the present phase trains.
    """

    def __init__(self, setting: Setting) -> None:
        import torch

        self.setting = setting
        network = setting.network
        first = network.initial()
        heads = [first[network.head]] + [setting.fresh_head(k) for k in range(1, setting.heads)]
        self.vector: Tensor = torch.cat([first[network.trunk], *heads]).to(setting.device)

    # -- what is trained, and when ------------------------------------------------------------------------------

    def phases(self, tasks: Sequence[int], steps: int) -> list[Phase]:
        """Return the phases that learn these tasks together, in ``steps`` optimiser steps in all."""
        return [Phase("train", tuple(tasks), steps)]

    def enter(self, phase: Phase, around: Surroundings) -> None:
        """Prepare a phase; afterwards ``vector`` is what it trains."""

    def leave(self, phase: Phase, around: Surroundings) -> None:
        """Draw the consequences of a finished phase."""

    def skips(self, phase: Phase) -> bool:
        """Return whether an earlier phase made this one needless."""
        return False

    # -- prediction ---------------------------------------------------------------------------------------------

    def weights(self, vector: Tensor, tasks: Sequence[int]) -> Tensor:
        """Return the weights of the network: (P,) when all these tasks have the same, else (N, P)."""
        import torch

        network, setting = self.setting.network, self.setting
        if setting.heads == 1:
            return vector
        trunk = vector[..., network.trunk]
        heads = vector[..., network.trunk.stop :].unflatten(-1, (setting.heads, -1))
        if vector.dim() == 2:
            chosen = heads[torch.arange(len(tasks)), list(tasks)]
        elif len(tasks) == 1:
            chosen = heads[tasks[0]]
        else:
            chosen = heads[list(tasks)]
            trunk = trunk.expand(len(tasks), -1)
        return torch.cat([trunk, chosen], dim=-1)

    def actions(self, vector: Tensor, tasks: Sequence[int], windows: Windows) -> Tensor:
        """Return the predicted actions: (N, B, K, A)."""
        return self.setting.predict(self.weights(vector, tasks), tasks, windows)

    def losses(self, vector: Tensor, tasks: Sequence[int], windows: Windows) -> Tensor:
        """Return the loss of each task in the present phase: (N,)."""
        return squared_error(self.actions(vector, tasks, windows), windows)

    def act(self, tasks: Sequence[int], windows: Windows) -> Tensor:
        """Return the actions of the policy as it stands, without gradients: (N, B, K, A)."""
        import torch

        with torch.no_grad():
            return self.actions(self.vector, tasks, windows)

    def differentiate(self, total: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient of a loss, (V,), and the norm that clipping goes by."""
        import torch

        gradient = torch.autograd.grad(total, vector)[0]
        return gradient, gradient.norm()

    def act_unknown(self, episodes: int) -> Callable[[Sequence[int], Windows], Tensor]:
        """Return a policy that is not told the task and keeps what it has inferred of each of these episodes.

        Raises:
            InputError: this way of sharing needs the task.
        """
        raise InputError("this policy must be told its task; sharing=group-masks finds it out by itself")

    def meet(self, task: int, around: Surroundings) -> None:
        """Look at a few windows of a task that was not learned; by default nothing is taken from them."""

    def act_unseen(self, tasks: Sequence[int], episodes: int) -> Callable[[Sequence[int], Windows], Tensor]:
        """Return a policy for tasks that were not learned: by default itself, told what the recipe tells."""
        return self.act

    # -- constraints --------------------------------------------------------------------------------------------

    def movable(self, tasks: Sequence[int]) -> Tensor | None:
        """Return which coordinates a step on these tasks may move: (V,) bool; None for all."""
        return None

    def adapt(self, step: int, phase: Phase, around: Surroundings) -> None:
        """Adapt between optimiser steps; ``step`` is the number of steps done in this phase."""

    @property
    def common(self) -> slice:
        """Coordinates of ``vector`` that tasks share: what penalties of streams act on."""
        return self.setting.network.trunk

    # -- keeping ------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, np.ndarray]:
        """Return everything learned, to be stored and given to ``restore``."""
        return {"vector": self.vector.detach().cpu().numpy()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Take up a stored state."""
        import torch

        self.vector = torch.from_numpy(state["vector"]).to(self.setting.device)

    def parameters_of(self, task: int) -> int:
        """Return how many numbers this task's policy adds to those before it.

        A mask counts one bit per weight, in units of 32 bits.
        """
        network = self.setting.network
        head = network.head.stop - network.head.start
        first = task == 0
        if self.setting.heads == 1:
            return network.size if first else 0
        return head + (network.trunk.stop if first else 0)

    def picture(self) -> dict[str, object]:
        """Return what a report shows of this way of sharing; JSON."""
        return {}


def squared_error(actions: Tensor, windows: Windows) -> Tensor:
    """Return the mean squared error over valid steps and action dimensions, per task: (N,)."""
    valid = windows.valid.unsqueeze(-1)
    error = (actions - windows.actions).square() * valid
    return error.sum(dim=(1, 2, 3)) / (valid.sum(dim=(1, 2, 3)).clamp(min=1) * actions.shape[-1])
