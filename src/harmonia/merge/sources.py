"""One tensor in the base and in every expert, read piece by piece: all that a rule of weights sees of checkpoints.

A rule reads pieces in order, as often as it likes, and never holds a tensor whole unless it asks for it; so memory is
that of a piece, whatever the model. Numbers are float32 whatever the files hold. A piece is good until the next one is
asked for, which may lie in the same memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

PIECE = 2**17
"""Elements of a piece: a few pieces fit the cache."""


@dataclass(frozen=True)
class Piece:
    """The same elements of the base and of every expert.

    Attributes:
        start: place of the first element in the flattened tensor.
        base: (m,) float32; None where there is no base.
        experts: (n, m) float32.
        room: (n, m) float32, where task vectors are put; None for new memory each time.
    """

    start: int
    base: Tensor | None
    experts: Tensor
    room: Tensor | None = None

    @property
    def tasks(self) -> Tensor:
        """The task vectors, expert - base: (n, m), calculated anew each time, so that they may be overwritten."""
        import torch

        assert self.base is not None
        return torch.sub(self.experts, self.base, out=self.room)


class Sources(Protocol):
    """One tensor of several checkpoints."""

    @property
    def name(self) -> str:
        """Of the tensor."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        ...

    @property
    def experts(self) -> int:
        """How many experts there are."""
        ...

    @property
    def identities(self) -> Sequence[str | int]:
        """What tells the experts apart, by which what is drawn for one of them is keyed: (n,)."""
        ...

    @property
    def has_base(self) -> bool:
        """Whether there is a base."""
        ...

    @property
    def size(self) -> int:
        """Number of elements."""
        ...

    def pieces(self, align: int = 1) -> Iterator[Piece]:
        """Yield all elements in order, a piece at a time; every piece but the last is a multiple of ``align`` long.

        Whoever keeps a piece beyond the next one copies it.
        """
        ...


@runtime_checkable
class Shared(Protocol):
    """All tensors of a model, with threads that share the work on them."""

    def each(self, work: Callable[[Sources], T]) -> list[T]:
        """Return ``work`` of every tensor, in order."""
        ...


def each(model: Sequence[Sources], work: Callable[[Sources], T]) -> list[T]:
    """Return ``work`` of every tensor, in order; in threads where the model brings some (``Shared``)."""
    return model.each(work) if isinstance(model, Shared) else [work(tensor) for tensor in model]


@dataclass(frozen=True)
class InMemory:
    """Tensors that are in memory.

    Attributes:
        name: of the tensor.
        tensors: the experts', of one shape.
        base: the base's, or None.
        piece: elements of a piece.
    """

    name: str
    tensors: tuple[Tensor, ...]
    base: Tensor | None = None
    piece: int = PIECE

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return tuple(self.tensors[0].shape)

    @property
    def experts(self) -> int:
        """How many experts there are."""
        return len(self.tensors)

    @property
    def identities(self) -> Sequence[str | int]:
        """Their places."""
        return range(self.experts)

    @property
    def has_base(self) -> bool:
        """Whether there is a base."""
        return self.base is not None

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.tensors[0].numel()

    def pieces(self, align: int = 1) -> Iterator[Piece]:
        """Yield all elements in order."""
        import torch

        length = max(align, self.piece // align * align)
        for start in range(0, self.size, length):
            rows = [tensor.reshape(-1)[start : start + length].float() for tensor in self.tensors]
            base = None if self.base is None else self.base.reshape(-1)[start : start + length].float()
            yield Piece(start, base, torch.stack(rows))
