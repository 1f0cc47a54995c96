"""TIES: trim task vectors, elect a sign for each element, and average those that agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from harmonia.maths.consensus import elected, weighted_sum
from harmonia.maths.kth_largest import Cut
from harmonia.merge.sources import Sources, each
from harmonia.merge.weights.task_vectors import TaskVectorRule
from harmonia.merge.weights.thinning import KeepLargest, largest_cuts

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Trim:
    """What is known of a model, or of a tensor by itself.

    Attributes:
        cuts: (n,) where the largest magnitudes end.
        offsets: place of each tensor's first element, by name.
        undecided: the sign where votes cancel out.
    """

    cuts: Sequence[Cut]
    offsets: dict[str, int]
    undecided: int


class Ties(TaskVectorRule):
    """Task vectors keep their largest elements and vote on the sign of each; those that agree are averaged.

    keep the k = density d largest |tau_i|;   s = sign(sum_i w_i tau_i);
    theta_0 + lambda sum_{i: sign tau_i = s} w_i tau_i / sum_{i: sign tau_i = s} w_i

    Exactly k elements stay, at least one, and of equal magnitudes the first. Without ``normalize`` what agrees is
    summed, for which lambda = 1/n is usual. TIES-Merging: Yadav et al. 2023 (arXiv 2306.01708).
    """

    kind: Literal["ties"] = "ties"
    references: ClassVar[tuple[str, ...]] = ("yadav2023ties",)
    main: ClassVar[str] = "density"
    elects: ClassVar[bool] = True

    density: float = Field(0.2, gt=0, le=1)
    """Share of each task vector that stays."""
    normalize: bool = True
    """Average what agrees; false sums it."""
    scope: Literal["model", "tensor"] = "model"
    """What d counts: an expert has one threshold for the whole model, or one for each tensor."""
    official_threshold: bool = False
    """Keep what the authors' code keeps: one element more, and all that equal it."""
    undecided: Literal["plus", "majority"] = "plus"
    """Sign where the votes cancel out: +, or, as in the authors' code, the sign of most elements; that takes one more
    pass."""

    def survey(self, model: Sequence[Sources], counts: Sequence[float], seed: int) -> Trim | None:
        return self._trim(model, counts) if self.scope == "model" else None

    def thinning(self, tensor: Sources, counts: Sequence[float], seed: int, known: Trim) -> KeepLargest:
        return KeepLargest(known.cuts, known.offsets[tensor.name])

    def common(self, tasks: Tensor, counts: Sequence[float], known: Trim) -> Tensor:
        return elected(tasks, counts, self.normalize, known.undecided)

    def moves(
        self, tensor: Sources, counts: Sequence[float], seed: int, known: Trim | None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        if known is None:
            assert self.scope == "tensor", "a survey comes first"
            known = self._trim([tensor], counts)
        return super().moves(tensor, counts, seed, known)

    def _trim(self, model: Sequence[Sources], counts: Sequence[float]) -> Trim:
        size, offsets = 0, {}
        for tensor in model:
            offsets[tensor.name] = size
            size += tensor.size
        kept = min(max(1, int(self.density * size)) + self.official_threshold, size)
        cuts = [cut for [cut] in largest_cuts(model, [[kept]] * len(counts), size)]
        if self.official_threshold:
            cuts = [Cut(cut.key, size - 1) for cut in cuts]
        trim = Trim(cuts, offsets, undecided=1)
        return trim if self.undecided == "plus" else Trim(cuts, offsets, self._majority(model, counts, trim))

    def _majority(self, model: Sequence[Sources], counts: Sequence[float], trim: Trim) -> int:
        """Return the sign that most elements elect: 1, -1 or 0."""

        def of(tensor: Sources) -> int:
            balance, thin = 0, KeepLargest(trim.cuts, trim.offsets[tensor.name])
            for piece in tensor.pieces():
                tasks = piece.tasks
                thin(tasks, piece.start)
                balance += int(weighted_sum(tasks, counts).sign_().double().sum().item())
            return balance

        balance = sum(each(model, of))
        return (balance > 0) - (balance < 0)
