"""What every learner is built on: the network, the tasks and how observations are normalised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harmonia.core.seeds import generator

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.data.trajectories.windows import Windows
    from harmonia.models.adapted import Adapted, AdaptedNetwork
    from harmonia.models.flat import FlatNetwork


@dataclass
class Setting:
    """A network and the tasks that share it.

    Attributes:
        network: the policy network as a function of a flat vector; called as
            ``network(weights, observations, actions, returns, timesteps, valid, condition, prompt)``, see
            ``harmonia.models.decision_transformer``.
        names: names of the tasks, unique.
        texts: a description of each task.
        heads: 1 head for all tasks, or one per task.
        condition: (n tasks, C) what the network is told of the task, or None.
        mean: (n tasks, D) subtracted from observations.
        inverse: (n tasks, D) factor on observations; 0 for a column that is constant in the task's data.
        return_scale: returns are divided by it.
        seed: of every random choice.
        device: where tensors live.
        pooled: whether normalisation is the same for all tasks; a policy that is not told the task needs it.
    """

    network: FlatNetwork
    names: Sequence[str]
    texts: Sequence[str]
    heads: int
    condition: Tensor | None
    mean: Tensor
    inverse: Tensor
    return_scale: float
    seed: int
    device: str = "cpu"
    pooled: bool = True

    def generator(self, *path: str | int) -> Any:
        """Return a torch generator that depends on the seed and these words only."""
        import torch

        made = torch.Generator()
        made.manual_seed(int(generator(self.seed, *path).integers(2**62)))
        return made

    def fresh_head(self, number: int) -> Tensor:
        """Return newly drawn weights of a head: those of the network's own, permuted, so that their law is the same."""
        import torch

        network, chosen = self.network, self.generator("head", number)
        sizes = [size for name, size in zip(network.names, network.sizes, strict=True) if name.startswith("head")]
        pieces = network.initial()[network.head].split(sizes)
        return torch.cat([piece[torch.randperm(len(piece), generator=chosen)] for piece in pieces])

    def normalised(self, tasks: Sequence[int], observations: Tensor) -> Tensor:
        """Return observations as the network reads them: (N, B, K, D) raw -> normalised, per task."""
        rows = list(tasks)
        return (observations - self.mean[rows, None, None]) * self.inverse[rows, None, None]

    def predict(
        self,
        weights: Tensor | Adapted,
        tasks: Sequence[int],
        windows: Windows,
        *,
        features: bool = False,
        adapted: AdaptedNetwork | None = None,
    ) -> Tensor:
        """Run the network on raw windows.

        Args:
            weights: (P,) or (N, P); with ``adapted``, an ``Adapted``.
            tasks: index of the task of each row of the windows; decides normalisation and condition.
            windows: (N, B, K, ...) tensors.
            features: return the features that the head would read, (N, B, K, d), instead of actions, (N, B, K, A).
            adapted: the network with low-rank changes, to run instead of the plain one.
        """
        network: Any = adapted or self.network
        found: Tensor = network(
            weights,
            self.normalised(tasks, windows.observations),
            windows.actions,
            windows.returns / self.return_scale,
            windows.timesteps,
            windows.valid,
            condition=None if self.condition is None else self.condition[list(tasks)],
            prompt=None if windows.prompt is None else self._prompt(tasks, windows.prompt),
            features=features,
        )
        return found

    def _prompt(self, tasks: Sequence[int], prompt: Windows) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        return (
            self.normalised(tasks, prompt.observations),
            prompt.actions,
            prompt.returns / self.return_scale,
            prompt.timesteps,
            prompt.valid,
        )
