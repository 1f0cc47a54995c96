"""Fisher merging: each element is averaged by how much each expert's loss depends on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.maths.consensus import weighted_sum
from harmonia.maths.streamed_sum import StreamedSum
from harmonia.merge.sources import Sources, each
from harmonia.merge.weights.base import Weights
from harmonia.merge.weights.statistics import require_statistic, statistic
from harmonia.merge.weights.zero_sum import refuse_zero_sum

if TYPE_CHECKING:
    from torch import Tensor


class Fisher(Weights):
    """Each element is averaged by its Fisher information in each expert.

    sum_i w_i F_i theta_i / sum_i w_i F_i, F_i the mean over examples of squared gradients, at least ``floor``; a tensor
    without a statistic counts as F = 0, so it is averaged. Matena & Raffel 2022 (arXiv 2111.09832).
    """

    kind: Literal["fisher"] = "fisher"
    references: ClassVar[tuple[str, ...]] = ("matena2022fisher",)
    needs_base: ClassVar[bool] = False
    reads: ClassVar[str | None] = "fisher"

    floor: float = Field(1e-6, gt=0)
    """Least F; where all experts are below, they are averaged."""
    normalize: bool = False
    """Divide each expert's F by its norm over the whole model, so that none counts more for steeper losses."""

    def check(self, experts: int, has_base: bool, counts: Sequence[float]) -> None:
        super().check(experts, has_base, counts)
        refuse_zero_sum(True, counts)

    def survey(self, model: Sequence[Sources], counts: Sequence[float], seed: int) -> np.ndarray:
        """Return the norm of each expert's F: (n,) float64; ones where they do not matter."""
        require_statistic(model, "fisher", "fisher")
        if not self.normalize:
            return np.ones(len(counts))

        def squares(tensor: Sources) -> np.ndarray:
            found, measured = StreamedSum(len(counts)), statistic(tensor, "fisher")
            for piece in () if measured is None else measured.pieces():
                found.add(np.square(piece.experts.numpy(), dtype=np.float64))
            return found.total

        norms = np.sqrt(np.sum(each(model, squares), axis=0))
        return np.where(norms > 0, norms, 1.0)

    def merged(self, tensor: Sources, counts: Sequence[float], seed: int, known: np.ndarray) -> Iterator[Tensor]:
        assert known is not None, "a survey comes first"
        measured = statistic(tensor, "fisher")
        if measured is None:
            for piece in tensor.pieces():
                yield weighted_sum(piece.experts, counts, normalize=True)
            return
        weights = [count / norm for count, norm in zip(counts, known.tolist(), strict=True)]
        for piece, seen in zip(tensor.pieces(), measured.pieces(), strict=True):
            information = seen.experts.clamp_min(self.floor)
            yield weighted_sum(piece.experts * information, weights).div_(weighted_sum(information, weights))
