"""DELLA: elements of task vectors are dropped at random, small ones more often than large ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from harmonia.maths.magnitude_rank import rank_probabilities
from harmonia.merge.sources import Sources
from harmonia.merge.weights.task_vectors import TaskVectorRule
from harmonia.merge.weights.thinning import Drop, Rescale

if TYPE_CHECKING:
    from typing import Self


class DellaRule(TaskVectorRule):
    """Fields of the rules that drop by rank of magnitude."""

    references: ClassVar[tuple[str, ...]] = ("deep2024della",)
    main: ClassVar[str] = "density"
    draws: ClassVar[bool] = True

    density: float = Field(0.5, gt=0, le=1)
    """Mean probability that an element stays."""
    epsilon: float = Field(0.15, ge=0, lt=1)
    """From density - epsilon for the smallest magnitude of a row to density + epsilon for the largest."""
    rescale: Rescale = "unbiased"
    """unbiased: what stays is divided by its probability, so that nothing changes on average. l1: by the share of the
    tensor's sum of magnitudes that stayed, which takes one more pass. none: it is left."""

    @model_validator(mode="after")
    def _probabilities(self) -> Self:
        if self.density - self.epsilon <= 0 or self.density + self.epsilon > 1 + 1e-9:
            raise ValueError(
                f"density {self.density:g} with epsilon {self.epsilon:g}: probabilities outside (0, 1]; lower epsilon"
            )
        return self

    def thinning(self, tensor: Sources, counts: Sequence[float], seed: int, known: Any) -> Drop:
        length = (tensor.shape or (1,))[-1] or 1

        def probability(row: np.ndarray) -> np.ndarray:
            return rank_probabilities(row.reshape(-1, length), self.density, self.epsilon).reshape(-1)

        return Drop(tensor, seed, probability, self.rescale, align=length)


class DellaLinear(DellaRule):
    """Elements of task vectors are dropped, small ones more often, the others made larger, and the rest is summed.

    Within each row of a tensor (last dimension) an element of rank r = 0 ... R - 1 by magnitude stays with probability
    p = density - epsilon + 2 epsilon r / (R - 1), divided by p. DELLA-Merging: Deep et al. 2024 (arXiv 2406.11617).
    """

    kind: Literal["della-linear"] = "della-linear"


class Della(DellaRule):
    """Elements of task vectors are dropped, small ones more often; those that agree in sign are averaged.

    As ``della-linear``, with the election of ``ties`` instead of the plain sum. Deep et al. 2024 (arXiv 2406.11617),
    Yadav et al. 2023 (arXiv 2306.01708).
    """

    kind: Literal["della"] = "della"
    references: ClassVar[tuple[str, ...]] = ("deep2024della", "yadav2023ties")
    elects: ClassVar[bool] = True

    normalize: bool = True
    """Average what agrees; false sums it."""
