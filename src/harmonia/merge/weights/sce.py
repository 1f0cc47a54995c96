"""SCE: select where experts differ most, calculate their weights from it, erase what disagrees in sign."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.maths.consensus import elected, weighted_sum
from harmonia.maths.kth_largest import Cut, kth_largest, number_keys
from harmonia.maths.streamed_sum import StreamedSum
from harmonia.merge.sources import Sources
from harmonia.merge.weights.task_vectors import TaskVectorRule
from harmonia.merge.weights.thinning import Thinning

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class KeepContested:
    """Elements stay, in all task vectors, where their variance over experts is among the largest."""

    cut: Cut
    align: int = 1

    def __call__(self, tasks: Tensor, start: int) -> None:
        kept = self.cut.kept(contested(tasks), start)
        for row in tasks.numpy():
            np.multiply(row, kept, out=row)


class Sce(TaskVectorRule):
    """Where experts differ most, they are averaged by the energy they have there, without those of the lesser sign.

    keep the density d elements with the largest variance over tau_1, ..., tau_n;   e_i = w_i mean(tau_i^2) over them;
    s = sign(sum_i tau_i);   theta_0 + lambda sum_{i: sign tau_i = s} e_i tau_i / sum_{i: sign tau_i = s} e_i

    Tensor by tensor. FuseChat: Wan et al. 2024 (arXiv 2408.07990).
    """

    kind: Literal["sce"] = "sce"
    references: ClassVar[tuple[str, ...]] = ("wan2024fusechat",)
    main: ClassVar[str] = "density"

    density: float = Field(0.1, gt=0, le=1)
    """Share of each tensor's elements that is merged; elsewhere the base stays."""
    normalize: bool = True
    """Average what agrees; false sums it, with energies that sum to one."""

    def thinning(self, tensor: Sources, counts: Sequence[float], seed: int, known: Any) -> KeepContested:
        size = tensor.size
        kept = min(max(1, int(self.density * size)), size)
        if kept == size:
            return KeepContested(Cut(0, size - 1))

        def blocks(step: int) -> Iterable[np.ndarray]:
            for piece in tensor.pieces():
                assert piece.base is not None
                yield contested(piece.experts[:, ::step] - piece.base[::step])[None]

        return KeepContested(kth_largest(blocks, [[kept]], size)[0][0])

    def shares(self, tensor: Sources, thin: Thinning, counts: Sequence[float]) -> Sequence[float]:
        energies = StreamedSum(tensor.experts)
        for piece in tensor.pieces():
            tasks = piece.tasks
            thin(tasks, piece.start)
            energies.add(np.square(tasks.numpy(), dtype=np.float64))
        shares = energies.total * np.array(counts)
        return counts if not shares.any() else (shares / shares.sum()).tolist()

    def common(self, tasks: Tensor, counts: Sequence[float], known: Any) -> Tensor:
        return elected(tasks, counts, self.normalize, votes=weighted_sum(tasks, [1.0] * len(counts)))


def contested(tasks: Tensor) -> np.ndarray:
    """Return keys of the variance over experts: (n, m) float32 -> (m,) uint32."""
    apart = tasks - weighted_sum(tasks, [1.0] * len(tasks), normalize=True)
    return number_keys(weighted_sum(apart.square_(), [1.0] * len(tasks)).numpy())
