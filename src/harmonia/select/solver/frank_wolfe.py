"""Frank-Wolfe: the best fractional mask, rounded, with a certificate of how far any subset can be above it.

max f(m) over m in [0, 1]^n with sum m = k and the bounds per source, for objectives whose relaxation is concave
(quality, mean pairwise similarity, decorrelation). Each step is one gradient and one top-k; the duality gap bounds what
every subset of k documents can reach. Joint objectives of quality and diversity: arXiv 2512.24265.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.core.errors import InputError
from harmonia.maths.frank_wolfe import maximise
from harmonia.select.solver.base import Picks, Problem, Solver
from harmonia.select.solver.marginals import marginals
from harmonia.select.solver.shares import Chosen, Share, spend, split


class FrankWolfe(Solver):
    """The best fractional mask by Frank-Wolfe, rounded to its largest entries, with a certified gap.

    Reports ``value`` (of the picks), ``bound`` (no subset of this size and these bounds is better), ``gap``,
    ``iterations`` and ``fractional`` (entries strictly between 0 and 1). A token budget is solved for the number of
    documents that it holds on average and then filled to the token; the certificate is left out.
    """

    kind: Literal["frank-wolfe"] = "frank-wolfe"

    tolerance: float = Field(1e-6, gt=0)
    """Stop when the best bound lies at most this far above the fractional value."""
    iterations: int = Field(1000, ge=1)
    """Stop after so many gradients."""

    references: ClassVar[tuple[str, ...]] = ("frank1956algorithm", "jaggi2013revisiting")

    def solve(self, problem: Problem) -> Picks:
        shares = split(problem, np.where(problem.forbidden, -1, 0))
        return spend(problem, shares, lambda share: self._take(problem, share))

    def _take(self, problem: Problem, share: Share) -> Chosen:
        counted = share.documents()
        relaxed = problem.function.relax(counted.size + len(problem.chosen))
        fixed = np.zeros(len(problem.pool))
        fixed[problem.chosen] = 1.0
        slope = relaxed.gradient(fixed)[share.rows]
        if np.isnan(slope).any():
            name = problem.pool.name_of(int(share.rows[np.flatnonzero(np.isnan(slope))[0]]))
            raise InputError(f"the objective is nan for document {name!r}; look for unusable features")

        def vertex(gradient: np.ndarray) -> np.ndarray:
            mask = fixed.copy()
            mask[share.rows[counted.top(gradient[share.rows])]] = 1.0
            return mask

        even = fixed.copy()
        even[share.rows] = counted.amount / len(share.rows)
        best = maximise(
            relaxed.value,
            relaxed.gradient,
            relaxed.curvature,
            vertex,
            vertex(relaxed.gradient(even)),
            tolerance=self.tolerance,
            iterations=self.iterations,
        )
        entries, slope = best.m[share.rows], relaxed.gradient(best.m)[share.rows]
        order = np.lexsort((share.keys, -slope, -entries))
        ranks = np.empty(len(order))
        ranks[order] = np.arange(len(order), 0, -1)
        rows = share.rows[share.top(ranks)]
        members = fixed.copy()
        members[rows] = 1.0
        facts: dict[str, float] = {
            "iterations": best.iterations,
            "fractional": int(np.count_nonzero((best.m > 1e-9) & (best.m < 1 - 1e-9))),
        }
        if share.costs is None:
            value = relaxed.value(members)
            facts |= {"value": value, "bound": best.bound, "gap": max(best.bound - value, 0.0)}
        return Chosen(rows, *marginals(problem.function, rows, problem.chosen), facts)
