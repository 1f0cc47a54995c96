"""The k-th largest of numbers that come in blocks: exact, in two passes and in memory that does not grow with them.

Numbers become keys, uint32 in the same order (non-negative floats already order like their bits), and a radix
histogram is taken of them: first of the high 16 bits, then of the low 16 bits of the one bucket where the k-th lies.
The first pass looks at one in seventeen and leaves a bracket of a few buckets; the second counts exactly what lies in
it and above it, and so sees whether the bracket was right. If not, all are looked at. Short rows need none of this.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harmonia.core.scratch import Scratch

Blocks = Callable[[int], Iterable[np.ndarray]]
"""Yields keys of n rows block by block, (n, m) uint32, all in order; called with a step s, every s-th of each block.
A block is used up before the next one is asked for."""
Parts = Callable[[Callable[[Blocks], None]], object]
"""Calls a function with the blocks of every part of the rows, in any order and by as many threads as it likes."""

STEP = 17
"""One in so many is looked at first; coprime to the usual widths of layers, so that no column is favoured."""
FEW = 2**21
"""Rows up to this length are held in memory and partitioned."""
WIDEST = 16
"""Buckets of the widest bracket: 8 MiB of counters."""
BUCKETS = 2**16

_ROWS = Scratch()


@dataclass(frozen=True)
class Cut:
    """Where the k largest end, exactly k of them: among equals those that come first.

    Attributes:
        key: of the k-th largest.
        last: place of the last element with this key that is among the k.
    """

    key: int
    last: int

    def kept(self, keys: np.ndarray, start: int) -> np.ndarray:
        """Return which of these keys, the first of which is at place ``start``, are among the k: (m,) bool."""
        first = min(max(0, self.last + 1 - start), len(keys))
        return np.concatenate([keys[:first] >= self.key, keys[first:] > self.key])


def magnitude_keys(rows: np.ndarray) -> np.ndarray:
    """Return keys of magnitudes: (n, m) float32 -> uint32; 0 for a zero.

    >>> magnitude_keys(np.array([[-1, 0.5, 0]], np.float32)).argsort().tolist()
    [[2, 1, 0]]
    """
    return rows.view(np.uint32) & np.uint32(0x7FFFFFFF)


def number_keys(rows: np.ndarray) -> np.ndarray:
    """Return keys of numbers with their signs: (n, m) float32 -> uint32, above 0.

    >>> number_keys(np.array([[-1, 0.5, -2]], np.float32)).argsort().tolist()
    [[2, 0, 1]]
    """
    bits = rows.view(np.int32)
    return (bits ^ ((bits >> 31) | np.int32(-(2**31)))).view(np.uint32)


def magnitude(key: int) -> float:
    """Return the magnitude that a key stands for."""
    return float(np.uint32(key).view(np.float32))


def number(key: int) -> float:
    """Return the number that a key stands for."""
    return magnitude(key ^ 0x80000000 if key >= 0x80000000 else key ^ 0xFFFFFFFF)


def kth_largest(
    blocks: Blocks, ranks: Sequence[Sequence[int]], size: int, parts: Parts | None = None
) -> list[list[Cut]]:
    """Return where the k largest of each row end, for one or several k.

    Args:
        blocks: the keys of n rows. A key of 0 counts for nothing: who is first among those is not found out.
        ranks: k, from 1 to ``size``, one or several for each row.
        size: length of the rows.
        parts: how to go through the same keys where their order does not matter; None for through ``blocks``.

    Returns:
        One cut per row and rank.

    >>> rows = np.array([[0.8, 0.1, -0.3, 0.5], [3, 3, 3, 4]], np.float32)
    >>> cuts = kth_largest(lambda step: [magnitude_keys(rows[:, ::step])], [[2], [2]], 4)
    >>> [(magnitude(cut.key), cut.last) for [cut] in cuts]
    [(0.5, 3), (3.0, 0)]
    """
    if size <= FEW:
        with _ROWS.borrowed((len(ranks) + 1) * size, np.uint32) as memory:
            *rows, spare = memory.reshape(-1, size)
            start = 0
            for block in blocks(1):
                for row, keys in zip(rows, block, strict=True):
                    row[start : start + len(keys)] = keys
                start += block.shape[1]
            return [[_cut(row, rank, spare) for rank in wanted] for row, wanted in zip(rows, ranks, strict=True)]
    if parts is None:

        def parts(look: Callable[[Blocks], None]) -> None:
            look(blocks)

    places = _places(parts, ranks, size, STEP) or _places(parts, ranks, size, 1)
    assert places  # all were looked at, so every bracket is the right bucket
    _find_last(places, blocks, size)
    return [[Cut(place.key, place.last) for place in row] for row in places]


def _cut(keys: np.ndarray, rank: int, spare: np.ndarray) -> Cut:
    """Return where the k largest of a row end that is in memory; ``spare`` is overwritten."""
    spare[:] = keys
    spare.partition(len(keys) - rank)
    key = spare[len(keys) - rank]
    first = rank - np.count_nonzero(keys > key)
    return Cut(int(key), int(np.flatnonzero(keys == key)[first - 1]))


class _Place:
    """Where one rank lies: a bracket of buckets, then a key, then an element."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.width = low << 16, (high - low + 1) << 16
        self.above_from = (high + 1) << 16  # 2^32 where nothing is above
        self.inside, self.above = _Histogram(self.width), 0
        self.key = self.wanted = self.equal = 0
        self.last = -1
        self._one = threading.Lock()

    def look(self, keys: np.ndarray) -> None:
        """Count what lies in the bracket and above."""
        offsets = keys - np.uint32(self.low)  # what is below wraps around and is large, too
        self.inside.add(offsets[offsets < np.uint32(self.width)])
        if self.above_from < 2**32:
            above = int(np.count_nonzero(keys >= np.uint32(self.above_from)))
            with self._one:
                self.above += above

    def settle(self, rank: int) -> bool:
        """Find the key; False if it is not in the bracket."""
        counts = self.inside.finish()
        within = rank - self.above
        or_more = counts[::-1].cumsum()[::-1]
        if not 1 <= within <= or_more[0]:
            return False
        found = _last_with(or_more, within)
        self.key = self.low + found
        self.equal = int(counts[found])
        self.wanted = within - int(or_more[found]) + self.equal
        return True


class _Histogram:
    """Counts of small integers; they wait until there are enough for the counters to be worth walking through.

    Several threads may add at once.
    """

    def __init__(self, bins: int) -> None:
        self._counts = np.zeros(bins, np.int64)
        self._waiting: list[np.ndarray] = []
        self._number = 0
        self._one = threading.Lock()

    def add(self, values: np.ndarray) -> None:
        """Add integers, which must stay as they are."""
        with self._one:
            self._waiting.append(values)
            self._number += len(values)
            if self._number >= 2**18:
                self.finish()

    def finish(self) -> np.ndarray:
        if self._waiting:
            self._counts += np.bincount(np.concatenate(self._waiting), minlength=len(self._counts))
            self._waiting, self._number = [], 0
        return self._counts


def _places(parts: Parts, ranks: Sequence[Sequence[int]], size: int, step: int) -> list[list[_Place]] | None:
    """Return where each rank lies; None if a bracket from one in ``step`` is too wide or was wrong."""
    histograms = [_Histogram(BUCKETS) for _ in ranks]

    def survey(blocks: Blocks) -> None:
        for block in blocks(step):
            for histogram, keys in zip(histograms, block, strict=True):
                histogram.add(keys >> np.uint32(16))

    parts(survey)
    places: list[list[_Place]] = []
    for histogram, wanted in zip(histograms, ranks, strict=True):
        or_more = histogram.finish()[::-1].cumsum()[::-1]
        brackets = [_bracket(or_more, rank, size, step) for rank in wanted]
        if any(high - low >= WIDEST for low, high in brackets):
            return None
        places.append([_Place(low, high) for low, high in brackets])

    def look(blocks: Blocks) -> None:
        for block in blocks(1):
            for row, keys in zip(places, block, strict=True):
                for place in row:
                    place.look(keys)

    parts(look)
    settled = [
        place.settle(rank)
        for row, wanted in zip(places, ranks, strict=True)
        for place, rank in zip(row, wanted, strict=True)
    ]
    return places if all(settled) else None


def _bracket(or_more: np.ndarray, rank: int, size: int, step: int) -> tuple[int, int]:
    """Return the first and the last bucket in which the rank may lie, eight standard deviations around its estimate."""
    if step == 1:
        bucket = _last_with(or_more, rank)
        return bucket, bucket
    looked, share = int(or_more[0]), rank / size
    spread = 8 * (math.sqrt(looked * share * (1 - share)) + 1)
    low = _last_with(or_more, share * looked + spread) if share * looked + spread <= looked else 0
    high = _last_with(or_more, share * looked - spread) if share * looked - spread >= 1 else BUCKETS - 1
    return low, high


def _last_with(or_more: np.ndarray, count: float) -> int:
    """Return the last place at which a falling sequence is at least ``count``."""
    return int(np.searchsorted(-or_more, -count, side="right")) - 1


def _find_last(places: list[list[_Place]], blocks: Blocks, size: int) -> None:
    """Find the last of the equals that is among the k: the very last unless there are too many, and it matters."""
    for row in places:
        for place in row:
            if place.wanted == place.equal or place.key == 0:
                place.last = size - 1
    looking, start = _not_found(places), 0
    if not any(looking):
        return
    for block in blocks(1):
        for row, keys in zip(looking, block, strict=True):
            for place in row:
                hits = np.flatnonzero(keys == np.uint32(place.key))
                if len(hits) >= place.wanted:
                    place.last = start + int(hits[place.wanted - 1])
                place.wanted -= len(hits)
        looking = _not_found(looking)
        if not any(looking):
            return
        start += block.shape[1]


def _not_found(places: list[list[_Place]]) -> list[list[_Place]]:
    return [[place for place in row if place.last < 0] for row in places]
