"""Rules that go some way from the base: the base plus a multiple of one merged task vector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from harmonia.merge.sources import Sources
from harmonia.merge.weights.base import Weights

if TYPE_CHECKING:
    from torch import Tensor


class Scaled(Weights):
    """theta_0 + lambda tau, tau the merged task vector, which does not depend on lambda: many cost one reading."""

    scaling: float | Literal["1/n"] = 1.0
    """lambda, how far to go from the base; 1/n for one over the number of experts."""

    def scale(self, experts: int) -> float:
        """Return lambda for so many experts."""
        return 1 / experts if self.scaling == "1/n" else self.scaling

    def moves(self, tensor: Sources, counts: Sequence[float], seed: int, known: Any) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the base and the merged task vector, which may be overwritten, piece after piece: (m,) float32 each."""
        raise NotImplementedError

    def merged(self, tensor: Sources, counts: Sequence[float], seed: int, known: Any) -> Iterator[Tensor]:
        scale = self.scale(tensor.experts)
        for base, task in self.moves(tensor, counts, seed, known):
            yield task.mul_(scale).add_(base)
