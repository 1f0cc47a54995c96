"""Pick the documents worth training on: features x objective x solver.

    import harmonia
    result = harmonia.select("corpus/", "disf-unit", budget="1.5%")

Parts serve on plain arrays too, without files or runs:

    from harmonia.select import Decorrelation, Greedy, pick
    rows = pick(vectors, Decorrelation(), Greedy(), budget=100)
"""

from __future__ import annotations

from harmonia.core.verb import callable_package
from harmonia.select import features, objective, solver
from harmonia.select.arrays import pick
from harmonia.select.budget import Budget
from harmonia.select.engine import select as run
from harmonia.select.features import *  # noqa: F403 - each axis lists its parts
from harmonia.select.objective import *  # noqa: F403
from harmonia.select.pool import Pool
from harmonia.select.recipe import SelectRecipe
from harmonia.select.result import SelectResult
from harmonia.select.solver import *  # noqa: F403

__all__ = ["Budget", "Pool", "SelectRecipe", "SelectResult", "pick", "run"]
__all__ += features.__all__ + objective.__all__ + solver.__all__

callable_package(__name__)
