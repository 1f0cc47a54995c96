"""The record of a recipe: structure x criterion x allocation x reconstruction, and how the calibration is drawn."""

from __future__ import annotations

from typing import ClassVar

from harmonia.compress.allocation import AnyAllocation, Uniform
from harmonia.compress.criterion import AnyCriterion, BlockInfluence, Principal
from harmonia.compress.reconstruction import AnyReconstruction
from harmonia.compress.sampling import Sampling
from harmonia.compress.structure import AnyStructure, Depth, Hidden
from harmonia.core.errors import InputError
from harmonia.core.recipe import Recipe


class CompressRecipe(Recipe):
    """Units are scored, a budget says which stay, and what reads them is repaired."""

    stage: ClassVar[str] = "compress"

    structure: AnyStructure
    """What is removed."""
    criterion: AnyCriterion
    """Which units matter."""
    allocation: AnyAllocation
    """How many units each layer keeps."""
    reconstruction: AnyReconstruction
    """How a layer is repaired whose inputs are gone."""
    calibration: Sampling
    """The text that all of this is judged and fitted on."""

    def check(self) -> None:
        """Refuse parts that do not go together.

        Raises:
            InputError: the message names both.
        """
        structure, criterion = self.structure.kind_name(), self.criterion.kind_name()
        for part, what, own in (
            (Depth, "whole layers", BlockInfluence),
            (Hidden, "channels of hidden states", Principal),
        ):
            removes, scores = isinstance(self.structure, part), isinstance(self.criterion, own)
            if removes and not scores:
                raise InputError(
                    f"structure={structure} removes {what}, and criterion={criterion} does not score them; take "
                    f"criterion={own.kind_name()}"
                )
            if scores and not removes:
                raise InputError(
                    f"criterion={criterion} scores {what}, and structure={structure} does not remove them; take "
                    f"structure={part.kind_name()}"
                )
            if removes and self.reconstruction.reads:
                raise InputError(
                    f"structure={structure} leaves nothing to repair; reconstruction="
                    f"{self.reconstruction.kind_name()} needs structure=heads, neurons or both; take "
                    "reconstruction=none"
                )
        if isinstance(self.structure, Hidden) and not isinstance(self.allocation, Uniform):
            raise InputError(
                f"structure=hidden keeps the same share of every hidden state, and allocation="
                f"{self.allocation.kind_name()} shares a budget between layers; take allocation=uniform"
            )
        if self.calibration.in_sequence and not self.reconstruction.reads:
            raise InputError(
                f"calibration.target={self.calibration.target} says what repairs imitate, and reconstruction=none "
                "repairs nothing; take dense-input"
            )

    def reads(self) -> set[str]:
        """Return what must be seen of a calibration: ``moments``, ``gradients``, ``slices``, ``states``; maybe nothing.

        Norms of weights are not among these: they need no text.
        """
        found = set(self.criterion.reads) - {"norms"}
        if self.reconstruction.reads:
            found.add("moments")
        if self.allocation.kind_name() == "rearrange":
            found.add("gradients")
        if isinstance(self.structure, Depth | Hidden):
            found.add("states")
        return found
