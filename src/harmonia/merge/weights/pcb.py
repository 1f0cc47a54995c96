"""PCB-Merging: elements of task vectors compete within their task and with those of the other tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.maths.competition import competition, unit
from harmonia.maths.consensus import weighted_sum
from harmonia.maths.kth_largest import magnitude, number, number_keys
from harmonia.merge.sources import Sources
from harmonia.merge.weights.scaled import Scaled
from harmonia.merge.weights.thinning import kth_largest_of, largest_cuts

if TYPE_CHECKING:
    from torch import Tensor

OUTLIERS = 1e-4
"""Share of each end of the magnitudes that is clipped."""


@dataclass(frozen=True)
class Bounds:
    """What is known of a model, (n, 1) float32 each.

    Attributes:
        low: bound of magnitudes from below.
        high: bound of magnitudes from above.
        floor: beta that counts as nothing.
        top: the largest beta.
    """

    low: Tensor
    high: Tensor
    floor: Tensor
    top: Tensor


class Pcb(Scaled):
    """Elements count by how large they are in their task vector and how far all task vectors agree with them.

    a_i = |tau_i| clipped to its quantiles [1e-4, 1 - 1e-4];   beta_i = exp(n minmax(a_i)^2) tanh(tau_i sum_j tau_j);
    s_i = minmax of beta_i, clipped from below at its (1 - r) quantile;
    theta_0 + lambda sum_i w_i sign(tau_i) a_i s_i / max(sum_i s_i, 1e-12)

    Quantiles and extremes are those of the whole model, laid end to end; w_i is a task's own lambda. PCB-Merging: Du et
    al. 2024 (arXiv 2410.02396).
    """

    kind: Literal["pcb"] = "pcb"
    references: ClassVar[tuple[str, ...]] = ("du2024pcb",)
    main: ClassVar[str] = "ratio"

    ratio: float = Field(0.1, gt=0, le=1)
    """r, share of each task vector that stays; 0.05 to 0.2 is usual."""
    scaling: float | Literal["1/n"] = 1.2
    """lambda, how far to go from the base; 1/n for one over the number of experts."""

    def survey(self, model: Sequence[Sources], counts: Sequence[float], seed: int) -> Bounds:
        import torch

        size, experts = sum(tensor.size for tensor in model), len(counts)

        def column(values: Iterable[float]) -> Tensor:
            return torch.tensor(list(values), dtype=torch.float32)[:, None]

        # places in ascending order, from 0, as in the authors' code: the upper one clips at least the largest element
        ends = size - int(size * OUTLIERS), size - max(0, int(size * (1 - OUTLIERS) - 1))
        cuts = largest_cuts(model, [ends] * experts, size)
        low, high = (column(magnitude(row[end].key) for row in cuts) for end in (0, 1))

        def blocks(tensor: Sources, step: int) -> Iterable[np.ndarray]:
            for piece in tensor.pieces():
                assert piece.base is not None
                tasks = piece.experts[:, ::step] - piece.base[::step]
                yield number_keys(competition(tasks, low, high).numpy())

        ends = size - min(int(size * (1 - self.ratio)), size - 1), 1
        cuts = kth_largest_of(model, blocks, [ends] * experts, size)
        floor, top = (column(number(row[end].key) for row in cuts) for end in (0, 1))
        return Bounds(low, high, floor, top)

    def moves(
        self, tensor: Sources, counts: Sequence[float], seed: int, known: Bounds
    ) -> Iterator[tuple[Tensor, Tensor]]:
        import torch

        assert known is not None, "a survey comes first"
        ones = [1.0] * tensor.experts
        for piece in tensor.pieces():
            tasks = piece.tasks
            scales = unit(competition(tasks, known.low, known.high), known.floor, known.top)
            clipped = torch.minimum(torch.maximum(tasks.abs(), known.low), known.high) * torch.sign(tasks)
            merged = weighted_sum(clipped.mul_(scales), counts) / weighted_sum(scales, ones).clamp_min_(1e-12)
            assert piece.base is not None
            yield piece.base, merged
