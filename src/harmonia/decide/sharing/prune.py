"""CompoFormer-Prune: a new task composes earlier policies and trains weights they left free (arXiv 2411.11364).

    M_k = [0 < owner <= k],   f_k with w * M_k,   a_k = Head_k([sum_j alpha_j f_j ; f_k])

Masks are nested, so one byte per weight holds them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from harmonia.decide.learner import Phase, Surroundings
from harmonia.decide.setting import Setting
from harmonia.decide.sharing.composer import Composer
from harmonia.decide.sharing.composition import Composition
from harmonia.decide.sharing.owned import OwnedTrunk
from harmonia.decide.sharing.packnet import need_a_byte, train_and_retrain

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from harmonia.data.trajectories.windows import Windows


class Prune(Composition):
    """Earlier policies serve a new task if one is good enough; else it takes free weights and reads their features.

    Every task that is not served trains the weights that are free, keeps the largest of them and frees the rest; it
    acts with all that is owned up to it. What is owned never moves, so earlier tasks stay as they are to the last bit.
    """

    kind: Literal["prune"] = "prune"

    prune: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of the free weights, the smallest, that a task sets to zero and leaves to the tasks after it."""
    retrain: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of a task's training steps that come after the cut and train the kept weights alone."""
    last_takes_all: bool = True
    """The last task of the stream keeps every free weight."""

    references = (*Composition.references, "mallya2018packnet")

    def build(self, setting: Setting) -> PruneComposer:
        need_a_byte(setting.names)
        return PruneComposer(setting, self)


class PruneComposer(Composer):
    """Own weights: the whole trunk, of which a task may move what is free, or after the cut what it kept.

    Attributes:
        owned: which weights belong to which module, numbered from 1.
    """

    def __init__(self, setting: Setting, part: Prune) -> None:
        super().__init__(setting, part)
        self.share, self.last_takes_all = part.retrain, part.last_takes_all
        self.owned = OwnedTrunk(setting.network, setting.device, part.prune)

    def training_phases(self, task: int, steps: int) -> list[Phase]:
        if self._takes_all(task):
            return super().training_phases(task, steps)
        return train_and_retrain(task, steps, self.share)

    def enter(self, phase: Phase, around: Surroundings) -> None:
        if phase.name == "train":
            task = phase.tasks[0]
            self.owned.need_room(self.setting.names[task], all_free=self._takes_all(task))
        super().enter(phase, around)

    def leave(self, phase: Phase, around: Surroundings) -> None:
        import torch

        if phase.name != "train":
            super().leave(phase, around)
            return
        number, all_free = len(self.modules) + 1, self._takes_all(phase.tasks[0])
        trunk = self.owned.cut(self.vector.detach()[: self.trunk.numel()], number, all_free=all_free)
        self.vector = torch.cat([trunk, self.vector.detach()[self.trunk.numel() :]])
        if all_free:
            super().leave(phase, around)

    def own_start(self) -> Tensor:
        return self.trunk

    def own_features(self, own: Tensor, task: int, windows: Windows) -> Tensor:
        network = self.setting.network
        weights = _with_head(own, network.size)
        return self.setting.predict(weights, [task], windows, features=True)

    def predict_modules(self, chosen: slice, windows: Windows) -> Tensor:
        import torch

        tasks = [module.task for module in self.modules[chosen]]
        if self.stack is None:
            numbers = torch.arange(1, len(self.modules) + 1, device=self.trunk.device, dtype=torch.uint8)
            self.stack = _with_head(self.owned.masked(self.trunk, numbers[:, None]), self.setting.network.size)
        weights = self.stack[chosen.start] if len(tasks) == 1 else self.stack[chosen]
        return self.setting.predict(weights, tasks, windows, features=True)

    def keep_own(self, own: Tensor) -> Tensor | None:
        self.trunk = own
        return None

    def movable(self, tasks: Sequence[int]) -> Tensor | None:
        import torch

        if self.phase not in ("train", "retrain"):
            return None
        moves = self.owned.movable(len(self.modules) + 1, kept=self.phase == "retrain")
        return torch.cat([moves, moves.new_ones(self.vector.numel() - moves.numel())])

    def own_parameters(self, index: int) -> int:
        mask = -(-int(self.owned.prunable.sum()) // 32)
        return self.owned.owned(index + 1) + mask

    def state(self) -> dict[str, np.ndarray]:
        return {**super().state(), "owner": self.owned.owner.cpu().numpy().copy()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        import torch

        super().restore({name: array for name, array in state.items() if name != "owner"})
        self.owned.owner = torch.tensor(state["owner"], device=self.setting.device)

    def picture(self) -> dict[str, object]:
        names = {index + 1: self.setting.names[module.task] for index, module in enumerate(self.modules)}
        return {**super().picture(), "owned": self.owned.shares(names)}

    def _takes_all(self, task: int) -> bool:
        """Return whether a task is the last of the stream and gets all that is left."""
        place = self.order.index(task) if task in self.order else len(self.order)
        return self.last_takes_all and place == len(self.setting.names) - 1


def _with_head(trunk: Tensor, size: int) -> Tensor:
    """Return weights of a whole network whose head is not used: (..., T) -> (..., P)."""
    import torch

    head = trunk.new_zeros(*trunk.shape[:-1], size - trunk.shape[-1])
    return torch.cat([trunk, head], dim=-1)
