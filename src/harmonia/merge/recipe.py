"""The record of a recipe: how experts become one model, dense or a mixture."""

from __future__ import annotations

from typing import ClassVar

from harmonia.core.errors import InputError
from harmonia.core.recipe import Recipe
from harmonia.merge.bridging import AnyBridging, NoBridging
from harmonia.merge.routing import AnyRouting, NoRouting
from harmonia.merge.weights import AdaMerging, AnyWeights


class MergeRecipe(Recipe):
    """Experts, trained from one base, become one model."""

    stage: ClassVar[str] = "merge"

    weights: AnyWeights
    """How weights of the experts become one set of weights: all of them, or those that experts share."""
    routing: AnyRouting = NoRouting()
    """What chooses among experts when the model runs; none makes one dense model."""
    bridging: AnyBridging = NoBridging()
    """How experts of several widths are joined."""

    @property
    def draws(self) -> bool:
        """Whether what is made depends on the seed."""
        drawn = self.weights.draws or self.routing.draws or self.bridging.draws
        return drawn or self.routing.reads_examples  # windows of text are drawn

    def check(self) -> None:
        """Refuse parts that do not go together.

        Raises:
            InputError: the message names both.
        """
        if self.bridging.bridges and not self.routing.is_mixture:
            raise InputError(
                f"bridging={self.bridging.kind_name()} joins experts that stay apart, and routing=none makes them one; "
                "take routing=sequence-linear or ppl"
            )
        if self.routing.is_mixture and isinstance(self.weights, AdaMerging) and self.weights.coefficients is None:
            raise InputError(
                f"weights=ada-merging is fitted to the predictions of one dense model, and routing="
                f"{self.routing.kind_name()} makes a mixture; take another rule, or routing=none"
            )
