"""CompoFormer-Grow: a new task composes earlier policies and adds low-rank changes of its own (arXiv 2411.11364).

    W_k = W + (alpha / r) B_k A_k,   a_k = Head_k([sum_j alpha_j f_j ; f_k])

The features of all earlier policies are one pass over the shared trunk, in which only the changed layers are computed
per policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from harmonia.decide.setting import Setting
from harmonia.decide.sharing.composer import Composer
from harmonia.decide.sharing.composition import Composition

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.data.trajectories.windows import Windows


class Grow(Composition):
    """Earlier policies serve a new task if one is good enough; else it adds a low-rank change and reads their features.

    The first task trains the network, which is then frozen. Nothing of an earlier task ever changes. Per new task that
    is not served: r (in + out) numbers per changed matrix, a head that reads [z ; f_k], and its attention.
    """

    kind: Literal["grow"] = "grow"

    rank: Annotated[int, Field(ge=1)] = 8
    """r, rank of a change."""
    alpha: Annotated[float, Field(gt=0)] = 1.0
    """Numerator of the scale alpha / r."""
    target: str = "qkv"
    """Part of the names of the matrices that are changed; qkv is the fused query-key-value map of every block."""

    references = (*Composition.references, "hu2022lora")

    def build(self, setting: Setting) -> GrowComposer:
        return GrowComposer(setting, self)


class GrowComposer(Composer):
    """Own weights: the trunk for the first module, factors of low-rank changes for the others."""

    def __init__(self, setting: Setting, part: Grow) -> None:
        from harmonia.models.adapted import AdaptedNetwork, low_rank_changes

        super().__init__(setting, part)
        self.low_rank = low_rank_changes(setting.network, part.target, part.rank, part.alpha)
        self.adapted = AdaptedNetwork(setting.network, self.low_rank)

    def own_start(self) -> Tensor:
        if not self.modules:
            return self.trunk
        factors = self.low_rank.initial(self.setting.generator("lora", str(self.task)))
        return factors.to(self.setting.device)

    def own_features(self, own: Tensor, task: int, windows: Windows) -> Tensor:
        from harmonia.models.adapted import Adapted

        weights = Adapted(self.trunk, None, own)
        return self.setting.predict(weights, [task], windows, features=True, adapted=self.adapted)

    def predict_modules(self, chosen: slice, windows: Windows) -> Tensor:
        import torch

        from harmonia.models.adapted import Adapted

        modules = self.modules[chosen]
        tasks = [module.task for module in modules]
        if len(modules) == 1:
            factors = modules[0].factors
        else:
            if self.stack is None:
                none = self.trunk.new_zeros(self.low_rank.size)
                held = [none if module.factors is None else module.factors for module in self.modules]
                self.stack = torch.stack(held)
            factors = self.stack[chosen]
        weights = Adapted(self.trunk, None, factors)
        return self.setting.predict(weights, tasks, windows, features=True, adapted=self.adapted)

    def keep_own(self, own: Tensor) -> Tensor | None:
        if self.modules:
            return own
        self.trunk = own
        return None

    def own_parameters(self, index: int) -> int:
        return self.trunk.numel() if index == 0 else self.low_rank.size
