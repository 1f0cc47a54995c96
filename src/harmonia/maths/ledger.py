"""What may still be taken of a budget with bounds per source, one document after another.

A set may grow as long as it can still be completed: lower bounds not yet met are reserved, sources at their upper
bound are closed. With documents as the unit the sets so allowed are the independent sets of a matroid, so greedy
over a sum of scores is optimal. In tokens a bound or the budget is reached by the document that crosses it.
"""

from __future__ import annotations

import numpy as np

from harmonia.maths.quotas import whole_bounds


class Ledger:
    """A budget being spent.

    Attributes:
        open: (m,) bool, the rows that may be taken next. A row that is closed never opens again.
        spent: documents or tokens taken so far.
        done: the budget and all lower bounds are reached.
    """

    def __init__(
        self,
        candidates: np.ndarray,
        amount: int,
        *,
        costs: np.ndarray | None = None,
        sources: np.ndarray | None = None,
        low: np.ndarray | None = None,
        high: np.ndarray | None = None,
        keys: np.ndarray | None = None,
    ) -> None:
        """Open a ledger.

        Args:
            candidates: (m,) bool, rows that may be taken at all.
            amount: documents to take, or tokens with ``costs``.
            costs: (m,) int64 tokens of each row; None counts documents.
            sources: (m,) int source of each row, needed by the bounds.
            low: (s,) least per source in the unit of ``amount``.
            high: (s,) most per source.
            keys: (m,) of equal rows the one of smaller key goes first; the lower row when None.
        """
        self._keys = keys
        self.open = np.array(candidates, bool)
        self.amount = amount
        self.spent = 0
        self._costs = costs
        self._sources = sources if low is not None or high is not None else None
        if self._sources is not None:
            size = len(low if low is not None else high)  # type: ignore[arg-type]
            if costs is None:
                low, high = whole_bounds(low, high, amount, size)
            self._low = np.zeros(size) if low is None else np.asarray(low, np.float64)
            self._high = np.full(size, np.inf) if high is None else np.asarray(high, np.float64)
            self._taken = np.zeros(size)
            self._live = np.ones(size, bool)
            self._close()

    def first_of(self, rows: np.ndarray) -> int:
        """Return which of several equal rows goes first."""
        return int(rows[0] if self._keys is None else rows[np.argmin(self._keys[rows])])

    @property
    def done(self) -> bool:
        return self.spent >= self.amount and (self._sources is None or bool((self._taken >= self._low).all()))

    def take(self, row: int) -> None:
        """Spend what ``row`` costs."""
        cost = 1 if self._costs is None else int(self._costs[row])
        self.open[row] = False
        self.spent += cost
        if self._sources is not None:
            self._taken[self._sources[row]] += cost
            self._close()

    def _close(self) -> None:
        missing = np.maximum(self._low - self._taken, 0)
        free = self.amount - self.spent - missing.sum() > 0
        live = (missing > 0) | (free & (self._taken < self._high))
        if (live != self._live).any():
            self._live = live
            self.open &= live[self._sources]
