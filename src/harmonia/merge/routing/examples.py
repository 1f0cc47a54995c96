"""Texts that tell experts apart, as tokens: what routers are fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harmonia.core.errors import InputError

if TYPE_CHECKING:
    from harmonia.models.mixture.mixture import Mixture
    from harmonia.models.pretrained import TokenBatch


@dataclass(frozen=True)
class Examples:
    """Batches of tokens of each expert's domain.

    Attributes:
        positive: texts that an expert should take, one sequence of batches for each expert.
        negative: texts that it should not take; empty, or one sequence for each expert.
    """

    positive: Sequence[Sequence[TokenBatch]]
    negative: Sequence[Sequence[TokenBatch]] = ()

    def check(self, experts: int) -> None:
        """Refuse what does not fit the experts.

        Raises:
            InputError: not one sequence for each, or one without a token.
        """
        for what, several in (("examples", self.positive), ("negative examples", self.negative)):
            if len(several) != experts and (what == "examples" or several):
                raise InputError(f"{what} of {len(several)} experts for {experts}: give texts for each, in their order")
        for number, batches in enumerate(self.positive):
            if not any(bool(batch.mask.any()) for batch in batches):
                raise InputError(f"no examples for expert {number + 1}: give at least one text that it should take")


@dataclass(frozen=True)
class Fitting:
    """What a router is fitted with.

    Attributes:
        mixture: with its experts in place, and gates of 0.
        examples: of each expert's domain, or None.
        base: the dense decoder that the experts were trained from, or None.
        seed: of what is drawn.
        identities: what tells the experts apart, whatever their order: draws follow it.
    """

    mixture: Mixture
    examples: Examples | None
    base: Any
    seed: int
    identities: Sequence[str]

    def canonical(self) -> list[int]:
        """Return the experts' numbers in an order that does not depend on that in which they were given."""
        return sorted(range(len(self.identities)), key=self.identities.__getitem__)
