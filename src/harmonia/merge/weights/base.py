"""The axis ``weights``: how the weights of several experts become one set of weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from harmonia.core.errors import InputError
from harmonia.core.part import Part
from harmonia.merge.sources import Sources

if TYPE_CHECKING:
    from torch import Tensor


class Weights(Part):
    """A rule that merges one tensor at a time, piece by piece."""

    needs_base: ClassVar[bool] = True
    """Whether it works on task vectors, expert - base."""
    exactly: ClassVar[int | None] = None
    """The only number of experts that it can merge; None for any."""
    least: ClassVar[int] = 1
    """The least number of experts."""
    weighs: ClassVar[bool] = True
    """Whether w_i matters; where it does not, unequal ones are refused."""
    draws: ClassVar[bool] = False
    """Whether the result depends on the seed."""
    reads: ClassVar[str | None] = None
    """The statistic of each expert that it reads beside the weights, e.g. ``fisher``; None for none."""

    def check(self, experts: int, has_base: bool, counts: Sequence[float]) -> None:
        """Refuse what it cannot merge.

        Args:
            experts: n, how many there are.
            has_base: whether there is a base.
            counts: w_i, the weight of each expert.

        Raises:
            InputError: no base where one is needed, a number of experts that it does not take, or weights that are not
                one for each expert or that it does not use.
        """
        kind = self.kind_name()
        if self.needs_base and not has_base:
            raise InputError(f"weights={kind} works on expert - base: give the base that the experts were trained from")
        if self.exactly is not None and experts != self.exactly:
            raise InputError(f"weights={kind} merges exactly {self.exactly} experts, and there are {experts}")
        if experts < self.least:
            raise InputError(f"weights={kind} needs at least {self.least} experts, and there are {experts}")
        if len(counts) != experts:
            raise InputError(f"{len(counts)} weights for {experts} experts: give one for each, in their order")
        if not self.weighs and len(set(counts)) > 1:
            raise InputError(f"weights={kind} counts all experts alike: give them equal weights, or none")

    def survey(self, model: Sequence[Sources], counts: Sequence[float], seed: int) -> Any:
        """Return what must be known of the whole model before any tensor is merged; None by default.

        Args:
            model: every tensor, in the order of the base's files; gone through several times, with ``sources.each``.
            counts: w_i, the weight of each expert.
            seed: of whatever is drawn.
        """
        return None

    def merge(self, tensor: Sources, counts: Sequence[float], seed: int, known: Any = None) -> Iterator[Tensor]:
        """Yield the merged tensor, flat, piece after piece in order, float32.

        The same whatever the length of the pieces, bit for bit: sums go over experts in their order, and what is drawn
        depends on seed, expert, tensor and element alone.

        Args:
            tensor: in base and experts.
            counts: w_i, the weight of each expert.
            seed: of whatever is drawn.
            known: what ``survey`` returned.

        Raises:
            InputError: see ``check``.
        """
        self.check(tensor.experts, tensor.has_base, counts)
        return self.merged(tensor, counts, seed, known)

    def merged(self, tensor: Sources, counts: Sequence[float], seed: int, known: Any) -> Iterator[Tensor]:
        """Yield what ``merge`` promises; for a rule to say how."""
        raise NotImplementedError
