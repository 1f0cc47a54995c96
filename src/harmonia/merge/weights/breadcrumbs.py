"""Breadcrumbs: task vectors lose their largest and their smallest elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from harmonia.merge.sources import Sources
from harmonia.merge.weights.task_vectors import TaskVectorRule
from harmonia.merge.weights.thinning import KeepBetween, KeepLargest, largest_cuts


class BreadcrumbsRule(TaskVectorRule):
    """Fields of the rules that cut both ends of each tensor's magnitudes."""

    references: ClassVar[tuple[str, ...]] = ("davari2024breadcrumbs",)
    main: ClassVar[str] = "density"

    density: float = Field(1.0, gt=0, le=1)
    """Share of each tensor that stays, below the largest; 1 keeps all that ``gamma`` leaves."""
    gamma: float = Field(0.01, ge=0, lt=1)
    """Share of each tensor, the largest magnitudes, that goes."""

    def thinning(self, tensor: Sources, counts: Sequence[float], seed: int, known: Any) -> KeepBetween | KeepLargest:
        size = tensor.size
        top = math.floor(self.gamma * size)
        kept = min(max(1, int(self.density * size)), size - top)
        ends = [top, top + kept] if top else [kept]
        cuts = largest_cuts([tensor], [ends] * tensor.experts, size)
        lower = [row[-1] for row in cuts]
        return KeepBetween([row[0] for row in cuts], lower) if top else KeepLargest(lower)


class Breadcrumbs(BreadcrumbsRule):
    """Task vectors lose their largest and their smallest elements, tensor by tensor, and are summed.

    theta_0 + lambda sum_i w_i m_i tau_i, where m_i drops the gamma d largest |tau_i| and as many of the smallest as
    leave density d. Model Breadcrumbs: Davari & Belilovsky 2024 (arXiv 2312.06795).
    """

    kind: Literal["breadcrumbs"] = "breadcrumbs"


class BreadcrumbsTies(BreadcrumbsRule):
    """Task vectors lose their largest and their smallest elements; those that agree in sign are summed.

    As ``breadcrumbs``, with the election of ``ties`` instead of the plain sum. Davari & Belilovsky 2024 (arXiv
    2312.06795), Yadav et al. 2023 (arXiv 2306.01708).
    """

    kind: Literal["breadcrumbs-ties"] = "breadcrumbs-ties"
    references: ClassVar[tuple[str, ...]] = ("davari2024breadcrumbs", "yadav2023ties")
    elects: ClassVar[bool] = True
