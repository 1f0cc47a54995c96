"""Rules on task vectors: the base plus a multiple of what thinned task vectors have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from harmonia.maths.consensus import elected, weighted_sum
from harmonia.merge.sources import Sources
from harmonia.merge.weights.scaled import Scaled
from harmonia.merge.weights.thinning import KeepAll, Thinning
from harmonia.merge.weights.zero_sum import refuse_zero_sum

if TYPE_CHECKING:
    from torch import Tensor


class TaskVectorRule(Scaled):
    """theta_0 + lambda c(thinned tau_1, ..., thinned tau_n), tau_i = theta_i - theta_0, c a sum or an election."""

    elects: ClassVar[bool] = False
    """Whether only what has the elected sign is merged."""

    normalize: bool = False
    """Divide by the sum of the weights; after an election, by that of the experts that agree."""

    def check(self, experts: int, has_base: bool, counts: Sequence[float]) -> None:
        super().check(experts, has_base, counts)
        refuse_zero_sum(self.normalize, counts)

    def thinning(self, tensor: Sources, counts: Sequence[float], seed: int, known: Any) -> Thinning:
        """Return what the task vectors of a tensor lose."""
        return KeepAll()

    def shares(self, tensor: Sources, thin: Thinning, counts: Sequence[float]) -> Sequence[float]:
        """Return how much each expert counts in this tensor: (n,)."""
        return counts

    def common(self, tasks: Tensor, counts: Sequence[float], known: Any) -> Tensor:
        """Return what thinned task vectors, which may be overwritten, have in common: (n, m) -> (m,)."""
        if self.elects:
            return elected(tasks, counts, self.normalize)
        return weighted_sum(tasks, counts, self.normalize)

    def moves(self, tensor: Sources, counts: Sequence[float], seed: int, known: Any) -> Iterator[tuple[Tensor, Tensor]]:
        thin = self.thinning(tensor, counts, seed, known)
        shares = self.shares(tensor, thin, counts)
        for piece in tensor.pieces(thin.align):
            tasks = piece.tasks
            thin(tasks, piece.start)
            assert piece.base is not None
            yield piece.base, self.common(tasks, shares, known)
