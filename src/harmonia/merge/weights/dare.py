"""DARE: random elements of task vectors are dropped, and the others made larger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from harmonia.merge.sources import Sources
from harmonia.merge.weights.task_vectors import TaskVectorRule
from harmonia.merge.weights.thinning import Drop, Rescale


class Dare(TaskVectorRule):
    """Fields of the rules that drop every element with the same probability."""

    references: ClassVar[tuple[str, ...]] = ("yu2024dare",)
    main: ClassVar[str] = "density"
    draws: ClassVar[bool] = True

    density: float = Field(0.5, gt=0, le=1)
    """Probability that an element stays; down to 0.1 where experts differ little from the base."""
    rescale: Rescale = "unbiased"
    """unbiased: what stays is divided by the density, so that nothing changes on average. l1: by the share of the
    tensor's sum of magnitudes that stayed, which takes one more pass. none: it is left."""

    def thinning(self, tensor: Sources, counts: Sequence[float], seed: int, known: Any) -> Drop:
        return Drop(tensor, seed, lambda row: self.density, self.rescale)


class DareLinear(Dare):
    """Random elements of task vectors are dropped, the others divided by the density, and summed.

    theta_0 + lambda sum_i w_i m_i tau_i / density, m_i ~ Bernoulli(density). DARE: Yu et al. 2024 (arXiv 2311.03099).
    """

    kind: Literal["dare-linear"] = "dare-linear"


class DareTies(Dare):
    """Random elements of task vectors are dropped, the others made larger; those that agree in sign are summed.

    As ``dare-linear``, with the election of ``ties`` instead of the plain sum; ``normalize`` averages what agrees.
    Yu et al. 2024 (arXiv 2311.03099), Yadav et al. 2023 (arXiv 2306.01708).
    """

    kind: Literal["dare-ties"] = "dare-ties"
    references: ClassVar[tuple[str, ...]] = ("yu2024dare", "yadav2023ties")
    elects: ClassVar[bool] = True
