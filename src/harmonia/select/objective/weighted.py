"""A weighted sum of objectives: quality against diversity, say, as DATAMASK joins them (arXiv 2512.24265).

f(S) = sum_t w_t f_t(S). Every f_t is normalised for the size of the chosen set, so that weights mean the same at every
budget; scores of different units are best put on one scale first (``quality`` with ``scale: rank`` or ``z``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from harmonia.core.part import Part
from harmonia.select.context import Context
from harmonia.select.objective.base import Objective
from harmonia.select.pool import Pool
from harmonia.select.set_function import WeightedSum

if TYPE_CHECKING:
    from harmonia.select.objective.base import Objective as AnyObjective


class Term(Part):
    """One objective and how much it counts."""

    weight: float
    """w_t; negative turns the objective round."""
    objective: AnyObjective
    """f_t."""


class Weighted(Objective):
    """A weighted sum of objectives, f = sum_t w_t f_t."""

    kind: Literal["weighted"] = "weighted"
    terms: Annotated[tuple[Term, ...], Field(min_length=1)]
    """The terms; each becomes one column of the picks."""

    def fit(self, pool: Pool, context: Context) -> WeightedSum:
        return WeightedSum(
            [term.weight for term in self.terms], [term.objective.fit(pool, context) for term in self.terms]
        )
