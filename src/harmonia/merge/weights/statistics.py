"""What was measured of experts beside their weights, and where a rule finds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from harmonia.core.errors import InputError
from harmonia.merge.sources import InMemory, Sources

if TYPE_CHECKING:
    from torch import Tensor


@runtime_checkable
class Measured(Protocol):
    """A tensor of several checkpoints that come with statistics, e.g. from a file beside each of them.

    A statistic is itself a tensor in every expert, without a base: of the tensor's shape and cut into the same pieces
    if it belongs to elements (``fisher``: mean squared gradient), or of a shape of its own (``gram``: (d_in, d_in), the
    mean over tokens of x x^T, for the weight of a linear layer).
    """

    def statistic(self, kind: str) -> Sources | None:
        """Return a statistic of this tensor; None where it was not measured."""
        ...


def statistic(tensor: Sources, kind: str) -> Sources | None:
    """Return a statistic of a tensor; None where it was not measured."""
    return tensor.statistic(kind) if isinstance(tensor, Measured) else None


def require_statistic(model: Sequence[Sources], kind: str, rule: str) -> None:
    """Refuse a model no tensor of which has a statistic.

    Raises:
        InputError: no tensor has.
    """
    if all(statistic(tensor, kind) is None for tensor in model):
        raise InputError(
            f"weights={rule} reads the statistic {kind!r} of every expert, and none was given: measure it first"
        )


@dataclass(frozen=True)
class MeasuredInMemory(InMemory):
    """Tensors in memory with their statistics.

    Attributes:
        statistics: one tensor per expert, by kind.
    """

    statistics: Mapping[str, tuple[Tensor, ...]] = field(default_factory=dict)

    def statistic(self, kind: str) -> Sources | None:
        """Return a statistic of this tensor; None where it was not measured."""
        if kind not in self.statistics:
            return None
        return InMemory(f"{self.name} ({kind})", self.statistics[kind], piece=self.piece)
