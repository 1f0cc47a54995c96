"""One tensor in the base and in every expert, read piece by piece: all that a rule of weights sees of checkpoints.

A rule reads pieces in order, as often as it likes, and never holds a tensor whole unless it asks for it; so memory is
that of a piece, whatever the model. Numbers are float32 whatever the files hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

PIECE = 2**17
"""Elements of a piece: a few pieces fit the cache."""


@dataclass(frozen=True)
class Piece:
    """The same elements of the base and of every expert.

    Attributes:
        start: place of the first element in the flattened tensor.
        base: (m,) float32; None where there is no base.
        experts: (n, m) float32.
    """

    start: int
    base: Tensor | None
    experts: Tensor

    @property
    def tasks(self) -> Tensor:
        """The task vectors, expert - base: (n, m)."""
        assert self.base is not None
        return self.experts - self.base


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
    def has_base(self) -> bool:
        """Whether there is a base."""
        ...

    @property
    def size(self) -> int:
        """Number of elements."""
        ...

    def pieces(self, align: int = 1) -> Iterator[Piece]:
        """Yield all elements in order, a piece at a time; every piece but the last is a multiple of ``align`` long."""
        ...


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
