"""Low-rank changes per task of one shared network (LoRA: Hu et al. 2022, arXiv 2106.09685).

    W_k = W + (alpha / r) B_k A_k  on the fused query-key-value map of every block

All tasks of a batch run in one pass over the shared trunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from harmonia.decide.learner import Learner, Phase, Surroundings
from harmonia.decide.setting import Setting
from harmonia.decide.sharing.base import Sharing
from harmonia.decide.sharing.kept import numbered, packed, unpacked

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from harmonia.data.trajectories.windows import Windows


class Lora(Sharing):
    """One network for all tasks, with a low-rank change of its attention layers per task.

    Together: the network and the changes of all tasks are learned at once. In sequence: the first task trains the
    network, which is then frozen; every later task trains its own change and its own head, so earlier tasks stay as
    they are.
    """

    kind: Literal["lora"] = "lora"

    rank: Annotated[int, Field(ge=1)] = 8
    """r, rank of a change."""
    alpha: Annotated[float, Field(gt=0)] = 1.0
    """Numerator of the scale alpha / r."""
    target: str = "qkv"
    """Part of the names of the matrices that are changed; qkv is the fused query-key-value map of every block."""

    protects: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = ("hu2022lora",)

    def build(self, setting: Setting) -> LoraLearner:
        return LoraLearner(setting, self)


class LoraLearner(Learner):
    """Trunk, and per task a head and factors. ``vector`` is [trunk | heads | factors] of what the phase trains.

    Attributes:
        trunk: (T,) the shared weights.
        base: tasks that trained them, None before any.
        heads: task -> (H,); tasks learned together may share one, under the first of them.
        factors: task -> (F,); a single first task has none.
        training: tasks of the present phase.
    """

    def __init__(self, setting: Setting, part: Lora) -> None:
        from harmonia.models.adapted import AdaptedNetwork, low_rank_changes

        super().__init__(setting)
        network = setting.network
        self.low_rank = low_rank_changes(network, part.target, part.rank, part.alpha)
        self.adapted = AdaptedNetwork(network, self.low_rank)
        first = network.initial().to(setting.device)
        self.trunk = first[network.trunk].clone()
        self._first_head = first[network.head].clone()
        self.base: tuple[int, ...] | None = None
        self.heads: dict[int, Tensor] = {}
        self.factors: dict[int, Tensor] = {}
        self.training: tuple[int, ...] = ()
        self.vector = first.new_empty(0)

    def enter(self, phase: Phase, around: Surroundings) -> None:
        import torch

        self.training = tasks = phase.tasks
        self.base = tasks if self.base is None else self.base
        pieces = [self.trunk] if self._trains_trunk else []
        heads = tasks[:1] if self._shares_head else tasks
        pieces += [self._fresh_head(task) for task in heads]
        if self._has_factors:
            made = [self.low_rank.initial(self.setting.generator("lora", task)) for task in tasks]
            pieces += [factors.to(self.setting.device) for factors in made]
        self.vector = torch.cat(pieces)

    def leave(self, phase: Phase, around: Surroundings) -> None:
        trunk, heads, factors = self._pieces(self.vector.detach())
        self.trunk = trunk.clone()
        for row, task in enumerate(phase.tasks):
            self.heads[task] = heads[0 if self._shares_head else row].clone()
            if factors is not None:
                self.factors[task] = factors[row].clone()
        self.training, self.vector = (), self.vector.new_empty(0)

    def actions(self, vector: Tensor, tasks: Sequence[int], windows: Windows) -> Tensor:
        import torch

        from harmonia.models.adapted import Adapted

        trunk, heads, factors = self._pieces(vector)
        each = vector.dim() == 2

        def head(row: int, task: int) -> Tensor:
            if task in self.training:
                return (heads[row] if each else heads)[0 if self._shares_head else self.training.index(task)]
            return self.heads[task] if task in self.heads else self._fresh_head(task)

        def change(row: int, task: int) -> Tensor | None:
            if task not in self.training:
                return self.factors.get(task)
            return None if factors is None else (factors[row] if each else factors)[self.training.index(task)]

        made = [head(row, task) for row, task in enumerate(tasks)]
        found = [change(row, task) for row, task in enumerate(tasks)]
        if len(tasks) == 1 and not each:
            return self.setting.predict(Adapted(trunk, made[0], found[0]), tasks, windows, adapted=self.adapted)
        changes: Tensor | None = None
        if any(factors is not None for factors in found):
            none = vector.new_zeros(self.low_rank.size)
            changes = torch.stack([none if factors is None else factors for factors in found])
        one_head = all(other is made[0] for other in made) and not each
        weights = Adapted(trunk, made[0] if one_head else torch.stack(made), changes)
        return self.setting.predict(weights, tasks, windows, adapted=self.adapted)

    def movable(self, tasks: Sequence[int]) -> Tensor | None:
        import torch

        if set(tasks) == set(self.training):
            return None
        # weight decay would shrink what belongs to tasks that are not in this batch
        moves = torch.zeros(len(self.vector), dtype=torch.bool, device=self.vector.device)
        trunk, heads, factors = self._pieces(moves)
        rows = [self.training.index(task) for task in tasks]
        if self._trains_trunk:
            trunk[:] = True
        heads[[0] if self._shares_head else rows] = True
        if factors is not None:
            factors[rows] = True
        return moves

    @property
    def common(self) -> slice:
        return slice(0, self.trunk.numel() if self._trains_trunk else 0)

    def state(self) -> dict[str, np.ndarray]:
        tensors = {"vector": self.vector, "trunk": self.trunk}
        tensors |= {f"head.{task}": head for task, head in self.heads.items()}
        tensors |= {f"factors.{task}": factors for task, factors in self.factors.items()}
        return packed({"base": self.base, "training": self.training}, tensors)

    def restore(self, state: dict[str, np.ndarray]) -> None:
        record, tensors = unpacked(state, self.setting.device)
        self.base = None if record["base"] is None else tuple(record["base"])
        self.training = tuple(record["training"])
        self.vector, self.trunk = tensors["vector"], tensors["trunk"]
        self.heads, self.factors = numbered(tensors, "head"), numbered(tensors, "factors")

    def parameters_of(self, task: int) -> int:
        base = self.base or (0,)
        network = self.setting.network
        first = task == base[0]
        own_head = not (self.setting.heads == 1 and len(base) > 1 and task in base)
        head = network.head.stop - network.head.start if first or own_head else 0
        return head + (self.trunk.numel() if first else 0) + (0 if base == (task,) else self.low_rank.size)

    def _pieces(self, vector: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return trunk, heads (..., h, H) and factors (..., n, F) of the tasks in training."""
        n, network = len(self.training), self.setting.network
        trunk = self.trunk.numel() if self._trains_trunk else 0
        heads = (1 if self._shares_head else n) * (network.head.stop - network.head.start)
        own, head, factors = vector.split([trunk, heads, vector.shape[-1] - trunk - heads], dim=-1)
        return (
            own if trunk else self.trunk,
            head.unflatten(-1, (-1, network.head.stop - network.head.start)) if n else head,
            factors.unflatten(-1, (n, -1)) if self._has_factors else None,
        )

    def _fresh_head(self, task: int) -> Tensor:
        if task == 0 or self._shares_head:
            return self._first_head
        return self.setting.fresh_head(task).to(self.setting.device)

    @property
    def _trains_trunk(self) -> bool:
        return bool(self.training) and self.base == self.training

    @property
    def _shares_head(self) -> bool:
        return self.setting.heads == 1 and len(self.training) > 1

    @property
    def _has_factors(self) -> bool:
        return bool(self.training) and not (self._trains_trunk and len(self.training) == 1)
