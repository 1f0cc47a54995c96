"""The named recipes of ``select``: every published method and every baseline is one point of the grid.

Each function returns the paper's settings; where a setting differs, the docstring says so.
"""

from __future__ import annotations

from harmonia.core.recipe import RecipeBook
from harmonia.select.features import Hashing, NoFeatures
from harmonia.select.objective import (
    D4,
    Constant,
    Decorrelation,
    Dsir,
    FacilityLocation,
    GraphCut,
    Leverage,
    LogDet,
    Quality,
    SemDeDup,
)
from harmonia.select.recipe import SelectRecipe
from harmonia.select.solver import Greedy, Gumbel, TopN

BOOK = RecipeBook("select", SelectRecipe)


@BOOK.add()
def random() -> SelectRecipe:
    """Draw documents uniformly; a smaller budget is part of a larger one."""
    return SelectRecipe(features=NoFeatures(), objective=Constant(), solver=Gumbel())


@BOOK.add()
def disf() -> SelectRecipe:
    """DiSF as its authors run it: the correlation matrix of each batch's picks is driven towards the identity.

    It degenerates on some pools; ``disf-unit`` is what we recommend.
    """
    return SelectRecipe(features=Hashing(), objective=Decorrelation(normalise="per_set"),
                        solver=Greedy(batch=1024, first="random"))


@BOOK.add(aliases=("disf-fast",))
def disf_unit() -> SelectRecipe:
    """DiSF with rows of unit length around the pool's mean: picks documents that point in different directions."""
    return SelectRecipe(features=Hashing(), objective=Decorrelation(normalise="pool_unit"),
                        solver=Greedy(batch=1024, first="random"))
