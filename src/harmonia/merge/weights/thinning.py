"""What task vectors lose before they are merged: all but their largest elements, or elements drawn at random."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from harmonia.maths.kth_largest import Blocks, Cut, kth_largest, magnitude, magnitude_keys
from harmonia.maths.random_mask import bernoulli, mask_key
from harmonia.maths.streamed_sum import StreamedSum
from harmonia.merge.sources import Sources, each

if TYPE_CHECKING:
    from torch import Tensor

Rescale = Literal["unbiased", "l1", "none"]


class Thinning(Protocol):
    """Sets elements of task vectors to zero, piece by piece."""

    @property
    def align(self) -> int:
        """Of the pieces that it takes."""
        ...

    def __call__(self, tasks: Tensor, start: int) -> None:
        """Thin a piece in place.

        Args:
            tasks: (n, m) float32.
            start: place of the first element in the tensor.
        """
        ...


class KeepAll:
    """Nothing is lost."""

    align = 1

    def __call__(self, tasks: Tensor, start: int) -> None:
        pass


@dataclass(frozen=True)
class KeepLargest:
    """The largest magnitudes stay.

    Attributes:
        cuts: (n,) where they end.
        offset: place of the tensor's first element among the elements over which they were found.
    """

    cuts: Sequence[Cut]
    offset: int = 0
    align: int = 1

    def __call__(self, tasks: Tensor, start: int) -> None:
        for row, cut in zip(tasks, self.cuts, strict=True):
            keep_largest(row, cut, self.offset + start)


@dataclass(frozen=True)
class KeepBetween:
    """The largest magnitudes stay, but for the very largest.

    Attributes:
        top: (n,) where those end that go.
        cuts: (n,) where those end that stay.
    """

    top: Sequence[Cut]
    cuts: Sequence[Cut]
    align: int = 1

    def __call__(self, tasks: Tensor, start: int) -> None:
        for row, top, cut in zip(tasks, self.top, self.cuts, strict=True):
            outliers = row.clone()
            keep_largest(outliers, top, start)
            keep_largest(row, cut, start)
            row.sub_(outliers)


class Drop:
    """Elements stay with a probability, drawn for seed, expert, tensor and element.

    Args:
        tensor: whose task vectors are thinned.
        seed: of the draws.
        probability: of each element of a row, or one for all.
        rescale: unbiased divides what stays by its probability; l1 makes up for the sum of magnitudes, tensor by
            tensor, which takes one more pass.
        align: of the pieces that ``probability`` takes.
    """

    def __init__(
        self,
        tensor: Sources,
        seed: int,
        probability: Callable[[np.ndarray], float | np.ndarray],
        rescale: Rescale,
        align: int = 1,
    ) -> None:
        self.align = align
        self._probability = probability
        self._unbiased = rescale == "unbiased"
        self._keys = [mask_key(seed, "drop", expert, tensor.name) for expert in tensor.identities]
        self._factors = self._l1(tensor) if rescale == "l1" else None

    def __call__(self, tasks: Tensor, start: int) -> None:
        rows = tasks.numpy()
        for expert, row in enumerate(rows):
            self._thin(expert, row, start)
            if self._factors is not None:
                np.multiply(row, self._factors[expert], out=row)

    def _thin(self, expert: int, row: np.ndarray, start: int) -> None:
        probability = self._probability(row)
        row *= bernoulli(self._keys[expert], start, len(row), probability)
        if self._unbiased:
            np.divide(row, probability, out=row, casting="same_kind")

    def _l1(self, tensor: Sources) -> np.ndarray:
        """Return the sum of each row's magnitudes over that of what stays: (n,) float32."""
        before, after = StreamedSum(tensor.experts), StreamedSum(tensor.experts)
        for piece in tensor.pieces(self.align):
            rows = piece.tasks.numpy()
            before.add(np.abs(rows.astype(np.float64)))
            for expert, row in enumerate(rows):
                self._thin(expert, row, piece.start)
            after.add(np.abs(rows.astype(np.float64)))
        kept = after.total
        return np.divide(before.total, kept, out=np.ones_like(kept), where=kept > 0).astype(np.float32)


def keep_largest(row: Tensor, cut: Cut, start: int) -> None:
    """Set to zero, in place, what is not among the largest magnitudes.

    Args:
        row: (m,) float32.
        cut: where they end, in keys of magnitudes.
        start: place of the first element.
    """
    import torch

    first = min(max(0, cut.last + 1 - start), len(row))
    if first and cut.key:  # hardshrink keeps what is strictly larger, so what equals the cut passes the number below it
        torch.hardshrink(row[:first], magnitude(cut.key - 1), out=row[:first])
    if first < len(row):
        torch.hardshrink(row[first:], magnitude(cut.key), out=row[first:])


def largest_cuts(model: Sequence[Sources], ranks: Sequence[Sequence[int]], size: int) -> list[list[Cut]]:
    """Return where the k largest magnitudes of each expert's task vector end, over one or several tensors.

    Args:
        model: the tensors, laid end to end; gone through several times.
        ranks: k, one or several for each expert.
        size: elements of all tensors.
    """
    if all(rank == size for row in ranks for rank in row):
        return [[Cut(0, size - 1) for _ in row] for row in ranks]

    def blocks(tensor: Sources, step: int) -> Iterable[np.ndarray]:
        for piece in tensor.pieces():
            assert piece.base is not None
            tasks = piece.tasks if step == 1 else piece.experts[:, ::step] - piece.base[::step]
            yield magnitude_keys(tasks.numpy())

    return kth_largest_of(model, blocks, ranks, size)


def kth_largest_of(
    model: Sequence[Sources],
    blocks: Callable[[Sources, int], Iterable[np.ndarray]],
    ranks: Sequence[Sequence[int]],
    size: int,
) -> list[list[Cut]]:
    """Return where the k largest keys of tensors end, which lie end to end (``maths.kth_largest``).

    Args:
        model: the tensors; gone through several times.
        blocks: yields the keys of a tensor, with a step s every s-th of each block.
        ranks: k, one or several for each row of keys.
        size: elements of all tensors.
    """

    def all_blocks(step: int) -> Iterable[np.ndarray]:
        return chain.from_iterable(blocks(tensor, step) for tensor in model)

    def parts(look: Callable[[Blocks], None]) -> None:
        each(model, lambda tensor: look(partial(blocks, tensor)))

    return kth_largest(all_blocks, ranks, size, parts)
