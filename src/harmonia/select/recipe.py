"""The record of a selection recipe: features x objective x solver."""

from __future__ import annotations

from typing import ClassVar

from harmonia.core.recipe import Recipe
from harmonia.select.features import AnyFeatures
from harmonia.select.objective import AnyObjective
from harmonia.select.solver import AnySolver


class SelectRecipe(Recipe):
    """Documents become vectors, an objective says what makes a set of them good, a solver finds it."""

    stage: ClassVar[str] = "select"

    features: AnyFeatures
    """How documents become vectors."""
    objective: AnyObjective
    """What makes a set of documents good."""
    solver: AnySolver
    """How a good set is found."""
