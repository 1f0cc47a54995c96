"""Greedy maximisation of a set function: take the row of largest gain, again and again.

Three ways to find that row: look at all (``Scan``); keep gains of earlier rounds as upper bounds and refresh the best
of them only (``Lazy``, exact when gains never grow: Minoux 1978); look at a random sample (``Sampled``, factor
1 - 1/e - delta in expectation with (n/k) log(1/delta) rows: Mirzasoleiman et al. 2015). Ties go to the row that
the ledger puts first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harmonia.core.errors import InputError
from harmonia.maths.climb import Climb
from harmonia.maths.ledger import Ledger

Search = Callable[[], tuple[int, float]]
"""Returns the row to take next and its gain; -inf when no row may be taken."""


class Scan:
    """Looks at the gain of every row."""

    def __init__(self, climb: Climb, ledger: Ledger) -> None:
        self.climb = climb
        self.ledger = ledger

    def __call__(self) -> tuple[int, float]:
        gains = np.where(self.ledger.open, self.climb.gains(), -np.inf)
        best = float(gains.max())
        return (int(np.argmax(gains)) if np.isnan(best) else self.ledger.first_of(np.flatnonzero(gains == best))), best


class Lazy:
    """Looks again only at rows whose gain at an earlier time was still among the largest.

    Stale rows are refreshed in blocks, ``block`` of the largest first and twice as many each time that is not enough,
    so that the set function can work on matrices instead of single rows.
    """

    def __init__(self, climb: Climb, ledger: Ledger, block: int = 64) -> None:
        self.climb = climb
        self.ledger = ledger
        self.block = block
        self.bounds = np.array(climb.gains(), np.float64)
        self.seen = np.full(len(self.bounds), ledger.spent)
        self.refreshed = 0
        """How many rows were looked at again so far."""

    def __call__(self) -> tuple[int, float]:
        self.bounds[~self.ledger.open] = -np.inf
        block, now = self.block, self.ledger.spent
        while True:
            top = float(self.bounds.max())
            if np.isnan(top) or top == -np.inf:
                return int(np.argmax(self.bounds)), top
            equal = np.flatnonzero(self.bounds == top)
            waiting = equal[self.seen[equal] != now]
            if not len(waiting):
                return self.ledger.first_of(equal), top
            block = min(block, len(self.bounds))
            best = np.argpartition(-self.bounds, block - 1)[:block]
            stale = np.union1d(best[(self.seen[best] != now) & (self.bounds[best] > -np.inf)], waiting[:block])
            self.bounds[stale] = self.climb.gains(stale)
            self.seen[stale] = now
            self.refreshed += len(stale)
            block *= 2


class Sampled:
    """Looks at ``size`` random rows."""

    def __init__(
        self, climb: Climb, ledger: Ledger, order: np.ndarray, size: int, random: Callable[[int], np.random.Generator]
    ) -> None:
        """Search in samples.

        Args:
            climb: the set so far.
            ledger: says which rows may be taken.
            order: (m,) a permutation of the rows; samples are positions in it.
            size: rows per sample.
            random: round -> generator.
        """
        self.climb = climb
        self.ledger = ledger
        self.rows = order
        self.size = size
        self.random = random
        self.round = 0

    def __call__(self) -> tuple[int, float]:
        random = self.random(self.round)
        self.round += 1
        left = np.count_nonzero(self.ledger.open)
        if left < 0.9 * len(self.rows):
            self.rows = self.rows[self.ledger.open[self.rows]]
        while left:
            drawn = self.rows[random.choice(len(self.rows), min(self.size, len(self.rows)), replace=False)]
            drawn = np.sort(drawn[self.ledger.open[drawn]])
            if not len(drawn):
                continue
            gains = self.climb.gains(drawn)
            best = float(gains.max())
            if np.isnan(best) or best > -np.inf or len(drawn) == left:
                equal = drawn[np.isnan(gains) if np.isnan(best) else gains == best]
                return self.ledger.first_of(equal), best
            # every row drawn is excluded; drop them, so that the search ends
            self.ledger.open[drawn] = False
            left = np.count_nonzero(self.ledger.open)
        return -1, -math.inf


@dataclass(frozen=True)
class Ascent:
    """Rows in the order of taking: (k,) int64, their gains (k,) float64, and each term's own gain (k, t) float64."""

    rows: np.ndarray
    gains: np.ndarray
    terms: np.ndarray


def ascend(climb: Climb, ledger: Ledger, search: Search, *, first: int | None = None) -> Ascent:
    """Take rows until the budget is spent or nothing may be taken.

    Args:
        climb: the set; it may hold rows already.
        ledger: the budget.
        search: finds the row to take.
        first: the row to take first, whatever its gain.

    Raises:
        InputError: a gain is nan.
    """
    rows: list[int] = []
    gains: list[float] = []
    terms: list[list[float]] = []
    split = getattr(climb, "term_gains", None)
    while not ledger.done:
        if first is not None and not rows:
            row, gain = first, float(climb.gains(np.array([first]))[0])
        else:
            row, gain = search()
        if math.isnan(gain):
            raise InputError(f"the objective is nan for row {row} at pick {len(rows) + 1}; look for unusable features")
        if gain == -math.inf:
            break
        rows.append(row)
        gains.append(gain)
        terms.append(split(row) if split else [gain])
        climb.add(row)
        ledger.take(row)
    return Ascent(
        np.array(rows, np.int64), np.array(gains, np.float64), np.array(terms, np.float64).reshape(len(rows), -1)
    )
