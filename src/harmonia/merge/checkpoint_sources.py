"""One tensor of several checkpoints, read from their files a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from harmonia.core.errors import InputError
from harmonia.core.scratch import Scratch
from harmonia.data.checkpoints import Checkpoint
from harmonia.maths.task_vectors import Disagreement
from harmonia.merge.plan import Plan, Planned
from harmonia.merge.sidecar import slot_of
from harmonia.merge.sources import PIECE, Piece

if TYPE_CHECKING:
    from torch import Tensor

_PIECES = Scratch()


class CheckpointSources:
    """What a rule sees of a tensor (``sources.Sources``); nothing is read before it asks.

    The first time that all pieces are read, every number is checked, and if asked, the experts' disagreement is
    measured on the way.

    Args:
        plan: which checkpoints.
        planned: which tensor.
        piece: elements of a piece.
        base: whether the base is read.
        measured: whether disagreement is measured; needs the base.

    Attributes:
        disagreement: what was measured, once all pieces were read; None before and without a base.
    """

    def __init__(
        self, plan: Plan, planned: Planned, *, piece: int = PIECE, base: bool = True, measured: bool = False
    ) -> None:
        self._slot = planned.slot
        self.name = planned.slot.name
        self.shape = planned.slot.shape
        self.size = planned.slot.size
        self.experts = len(plan.experts)
        self.piece = piece
        self.disagreement: Disagreement | None = None
        self._plan = plan
        self._places = list(zip(plan.experts, planned.experts, strict=True))
        self._base = (plan.base, planned.base) if base and plan.base is not None and planned.base else None
        self.has_base = self._base is not None
        self._measured = measured and self._base is not None
        self._seen = False

    @property
    def identities(self) -> Sequence[str | int]:
        """What tells the experts apart."""
        return self._plan.identities

    def statistic(self, kind: str) -> CheckpointSources | None:
        """Return a statistic of this tensor, from the file beside each expert; None where it was not measured.

        Raises:
            InputError: some experts have it and others lack it, or it is of another shape.
        """
        held, names = self._plan.sidecars(kind), tuple(name for _, name in self._places)
        slot = slot_of(kind, held, names, self._slot)
        if slot is None:
            return None
        return CheckpointSources(Plan(None, held, (), (), (), ()), Planned(slot, None, names), piece=self.piece)

    def pieces(self, align: int = 1) -> Iterator[Piece]:
        """Yield all elements in order, a piece at a time; every piece but the last is a multiple of ``align`` long.

        Raises:
            InputError: a number is NaN or infinite.
        """
        import torch

        measure = Disagreement(self.experts) if self._measured and not self._seen else None
        n, longest = self.experts, self._length(align)
        with _PIECES.borrowed(n * longest if self._base is None else (2 * n + 1) * longest, np.float32) as memory:
            room = torch.from_numpy(memory)
            for start, length in self._cuts(align):
                base = tasks = None
                rows = room[: n * length].view(n, length)
                if self._base is not None:
                    base, tasks = room[n * length : (n + 1) * length], room[(n + 1) * length : (2 * n + 1) * length]
                    tasks = tasks.view(n, length)
                    self._read(*self._base, start, base)
                for row, (checkpoint, name) in zip(rows, self._places, strict=True):
                    self._read(checkpoint, name, start, row)
                piece = Piece(start, base, rows, tasks)
                if measure is not None and base is not None:
                    measure.add(base, piece.tasks)
                yield piece
        self.disagreement = measure if measure is not None else self.disagreement
        self._seen = True

    def untouched(self) -> bool:
        """Return whether every expert's tensor is the base's, byte for byte; stops at the first difference."""
        if self._base is None:
            return False
        base, name = self._base
        return all(checkpoint.same(there, base, name) for checkpoint, there in self._places)

    def base_pieces(self) -> Iterator[tuple[int, Tensor]]:
        """Yield the base alone: place of the first element, and elements (m,) float32; for an untouched tensor."""
        import torch

        assert self._base is not None
        measure = Disagreement(self.experts) if self._measured else None
        with _PIECES.borrowed(self._length(1), np.float32) as memory:
            room = torch.from_numpy(memory)
            for start, length in self._cuts(1):
                base = self._read(*self._base, start, room[:length])
                if measure is not None:
                    measure.add(base, base.new_zeros(1, 1).expand(self.experts, length))
                yield start, base
        self.disagreement = measure
        self._seen = True

    def _length(self, align: int) -> int:
        """Return the length of a piece that is not the last."""
        return max(align, self.piece // align * align)

    def _cuts(self, align: int) -> Iterator[tuple[int, int]]:
        length = self._length(align)
        for start in range(0, self.size, length):
            yield start, min(length, self.size - start)

    def _read(self, checkpoint: Checkpoint, name: str, start: int, out: Tensor) -> Tensor:
        import torch

        checkpoint.read(name, start, out)
        # a finite sum has finite terms, and is quicker to get than a flag for each; large terms may overflow it
        if not self._seen and not torch.isfinite(out.sum()) and not torch.isfinite(out).all():
            place = start + int(torch.isfinite(out).logical_not().nonzero()[0, 0])
            path = checkpoint.tensor(name).path
            raise InputError(
                f"{path}: tensor {name} has NaN or infinite numbers (first at element {place}): "
                "repair this checkpoint or leave it out"
            )
        return out
