"""Policies of finished tasks, frozen: their features in one pass, and the actions of one of them or of a mixture.

A stored policy is a function of raw observations: it reads them with the normalisation and the condition of its own
task, whoever asks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harmonia.decide.setting import Setting

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.data.trajectories.windows import Windows

GROUPED = 5_000
"""Numbers in the features of one policy beyond which, on a CPU, one pass for all policies has no overhead left to save
and only outgrows the cache."""


@dataclass
class Module:
    """A policy that owns parameters.

    Attributes:
        task: which it was learned for; gives normalisation and condition.
        head: (H,) weights of its head: the network's own for the first module, else of a ``ComposedHead``.
        alpha: (j,) its attention over the j modules before it; None for the first.
        factors: (F,) low-rank changes, where the module has any.
    """

    task: int
    head: Tensor
    alpha: Tensor | None
    factors: Tensor | None = None


class FrozenPolicies:
    """The modules so far, and how they act.

    Args:
        setting: network and tasks.
        predict: features of J modules in one pass: (which, windows (J, B, K, ...)) -> (J, B, K, d).

    Attributes:
        modules: in the order of learning.
        width: d, length of a feature.
        head: the head that reads [z ; f_k], as a function of its weights.
    """

    def __init__(self, setting: Setting, predict: Callable[[slice, Windows], Tensor]) -> None:
        from harmonia.models.adapted import head_sizes
        from harmonia.models.composed_head import ComposedHead
        from harmonia.models.flat import FlatNetwork

        self.setting, self._predict = setting, predict
        self.modules: list[Module] = []
        self.width, action = head_sizes(setting.network)
        self.head = FlatNetwork(ComposedHead(self.width, action, setting.generator("composed head")))

    def features(self, count: int, windows: Windows) -> Tensor:
        """Return the features of the first modules: (count, B, K, d)."""
        import torch

        numbers = windows.valid.numel() * self.width
        together = 1 if windows.valid.device.type == "cpu" and numbers > GROUPED else count
        groups = [range(start, min(start + together, count)) for start in range(0, count, together)]
        found = [self._predict(slice(g.start, g.stop), windows.of([0] * len(g))) for g in groups]
        return torch.cat(found)

    def speak(self, index: int, features: Tensor) -> Tensor:
        """Return a module's actions from the features of itself and those before it: (1, B, K, A)."""
        from harmonia.maths.text_attention import mix
        from harmonia.models.adapted import plain_head

        module, own = self.modules[index], features[index : index + 1]
        if module.alpha is None:
            return plain_head(self.setting.network, module.head, own)
        actions: Tensor = self.head(module.head, mix(module.alpha, features[:index])[None], own)
        return actions

    def act(self, index: int, windows: Windows) -> Tensor:
        """Return the actions of one module: (1, B, K, A)."""
        return self.speak(index, self.features(index + 1, windows))

    def mixture(self, alpha: Tensor, windows: Windows) -> Tensor:
        """Return the actions of the first modules, mixed with these weights: (1, B, K, A)."""
        import torch

        from harmonia.maths.text_attention import mix

        features = self.features(len(alpha), windows)
        return mix(alpha, torch.cat([self.speak(index, features) for index in range(len(alpha))]))[None]


@contextlib.contextmanager
def still(module: Any) -> Iterator[None]:
    """Run a network without gradients and without dropout."""
    import torch

    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(training)
