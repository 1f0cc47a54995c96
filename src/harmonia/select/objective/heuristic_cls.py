"""Heuristic classification: keep a document when p(wanted | x) > 1 - e, with e drawn from a Pareto distribution.

The noise lets some documents of low probability pass, so that the selection does not collapse on what the classifier
likes best (Brown et al. 2020, appendix A, arXiv 2005.14165; a baseline of DSIR, arXiv 2302.03169).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from harmonia.core.seeds import uniforms
from harmonia.select.context import Context
from harmonia.select.objective.classifier import FromExamples
from harmonia.select.pool import Pool
from harmonia.select.set_function import Modular


class HeuristicClassifier(FromExamples):
    """p - (1 - e), the margin by which a document passes a noisy threshold; those that fail are excluded.

    e = u^(-1/alpha) - 1 with u uniform by the document's id, so the choice is a property of the document.
    """

    kind: Literal["heuristic-cls"] = "heuristic-cls"

    alpha: Annotated[float, Field(gt=0)] = 9.0
    """Shape of the Pareto noise; larger is stricter. P(e > x) = (1 + x)^-alpha."""

    references: ClassVar[tuple[str, ...]] = ("brown2020language", "xie2023dsir")

    def fit(self, pool: Pool, context: Context) -> Modular:
        probability = 1 / (1 + np.exp(-self.log_odds(pool, context)))
        noise = uniforms(pool.keys, context.seed, "pareto") ** (-1 / self.alpha) - 1
        margin = probability - (1 - noise)
        return Modular("heuristic-cls", np.where(margin > 0, margin, -np.inf))
