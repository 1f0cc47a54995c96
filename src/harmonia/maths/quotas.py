"""Shares of a budget: quotas per source, and the best documents within bounds per source.

Water-filling: quota_s = clip(t share_s, low_s, high_s) with the one t for which the quotas sum to the budget;
whole numbers by largest remainder (Hamilton's method). Ties go to the lowest index everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harmonia.core.errors import InputError


def _slack(values: np.ndarray | float) -> np.ndarray | float:
    """Return by how much a share times a budget may miss a whole number through rounding."""
    return 1e-9 + 1e-15 * np.abs(values)


def tempered_shares(sizes: np.ndarray, alpha: float) -> np.ndarray:
    """Return shares proportional to ``sizes ** alpha``: 1 is proportional, 0 is equal. Empty sources get none.

    Args:
        sizes: (s,) sizes of the sources, at least 0, not all 0.
        alpha: exponent in [0, 1].

    Raises:
        InputError: a size is negative, all are 0, or ``alpha`` is outside [0, 1].

    >>> tempered_shares(np.array([16, 4]), 0.5).round(4).tolist()
    [0.6667, 0.3333]
    """
    sizes = np.asarray(sizes, np.float64)
    if not 0 <= alpha <= 1:
        raise InputError(f"the exponent of tempered quotas is {alpha}; it lies in [0, 1]")
    if not (sizes >= 0).all() or not sizes.any():
        raise InputError("quotas need sources of size 0 or more, at least one of them not empty")
    shares = np.where(sizes > 0, np.power(sizes, alpha, where=sizes > 0, out=np.ones_like(sizes)), 0.0)
    return shares / shares.sum()


def largest_remainder(values: np.ndarray, total: int) -> np.ndarray:
    """Round to whole numbers that sum to ``total``: all down, then the largest fractions up.

    Args:
        values: (s,) values, at least 0, with ``sum floor(v) <= total <= sum ceil(v)``.
        total: what the result sums to.

    Returns:
        (s,) int64, each the floor or the ceiling of its value.

    Raises:
        InputError: no rounding of ``values`` sums to ``total``.

    >>> largest_remainder(np.array([2.5, 2.5, 3.0]), 8).tolist()
    [3, 2, 3]
    """
    values = np.asarray(values, np.float64)
    down = np.floor(values)
    fractions = values - down
    missing = int(total - down.sum())
    if not 0 <= missing <= np.count_nonzero(fractions):
        raise InputError(f"values that sum to {values.sum():g} cannot be rounded to a total of {total}")
    down[np.argsort(-fractions.round(9), kind="stable")[:missing]] += 1
    return down.astype(np.int64)


def quotas(
    shares: np.ndarray,
    sizes: np.ndarray,
    amount: int,
    *,
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
    redistribute: bool = True,
) -> np.ndarray:
    """Split a budget over sources in proportion to ``shares``, at most ``sizes`` each.

    What a full source cannot take goes to the others in proportion to their shares (water-filling).

    Args:
        shares: (s,) wanted proportions, at least 0; they need not sum to 1.
        sizes: (s,) what each source holds, in the unit of ``amount``.
        amount: the budget.
        low: (s,) the least per source (default 0); a part of a unit counts as a whole one where the budget allows it.
        high: (s,) the most per source (default no bound).
        redistribute: False refuses a share that is larger than its source instead of passing it on.

    Returns:
        (s,) int64 quotas that sum to ``amount``.

    Raises:
        InputError: the shares are unusable, or no quotas fulfil all bounds.

    >>> quotas(np.array([1, 1]), np.array([10, 2]), 6).tolist()
    [4, 2]
    """
    shares, sizes = np.asarray(shares, np.float64), np.asarray(sizes, np.int64)
    if not (np.isfinite(shares) & (shares >= 0)).all() or not shares.any():
        raise InputError("shares must be finite numbers of at least 0, not all of them 0")
    wanted = shares / shares.sum() * amount
    if not redistribute and (wanted > sizes + _slack(wanted)).any():
        worst = int(np.argmax(wanted - sizes))
        raise InputError(
            f"the quota of source {worst} is {wanted[worst]:.0f}, but it holds only {sizes[worst]}; "
            "lower its share, or let the rest go to the other sources"
        )
    least, most = whole_bounds(low, high, amount, len(sizes))
    check_floors(least, sizes, None)
    most = np.minimum(most, sizes)
    return largest_remainder(_water_fill(shares, least, most, amount), amount)


def bounded_top(
    scores: np.ndarray,
    amount: int,
    *,
    sources: np.ndarray | None = None,
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
    costs: np.ndarray | None = None,
    source_names: Sequence[str] | None = None,
) -> np.ndarray:
    """Return the documents of largest total score within a budget and bounds per source.

    Each source first takes its best documents up to its lower bound; the rest of the budget goes to the best
    documents left, of sources that have not reached their upper bound. With documents as the unit this is the exact
    optimum (the bounds form a matroid). With ``costs`` the same greedy rule runs in tokens: a bound or the budget is
    reached by the document that crosses it, which is taken; each can so be exceeded by less than one document.

    Args:
        scores: (n,) float64; ``-inf`` marks a document that is never taken.
        amount: documents to take, or tokens with ``costs``.
        sources: (n,) int, source of each document; needed by ``low`` and ``high``.
        low: (s,) the least per source in the unit of ``amount``. Parts of a document are rounded up where the budget
            allows it, else by largest remainder.
        high: (s,) the most per source; parts of a document are rounded down likewise.
        costs: (n,) int64, tokens of each document, at least 1; None counts documents.
        source_names: (s,) names for messages.

    Returns:
        (k,) int64 rows by descending score, equal scores by row.

    Raises:
        InputError: a score is nan, a cost below 1, or the budget or a bound cannot be met.

    >>> bounded_top(np.array([9., 8, 7, 1]), 3, sources=np.array([0, 0, 0, 1]), low=np.array([0, 1])).tolist()
    [0, 1, 3]
    """
    scores = np.asarray(scores, np.float64)
    if np.isnan(scores).any():
        raise InputError(f"the score of row {int(np.flatnonzero(np.isnan(scores))[0])} is nan")
    if amount < 1:
        raise InputError(f"the budget is {amount}; give at least 1")
    unit = "documents" if costs is None else "tokens"
    if costs is not None and (np.asarray(costs) < 1).any():
        row = int(np.flatnonzero(np.asarray(costs) < 1)[0])
        raise InputError(f"the cost of row {row} is {costs[row]} tokens; costs must be at least 1")
    allowed = np.flatnonzero(scores > -np.inf)
    available = len(allowed) if costs is None else int(np.asarray(costs, np.int64)[allowed].sum())
    if available < amount:
        raise InputError(
            f"the budget is {amount} {unit}, but only {len(allowed)} of {len(scores)} documents "
            f"({available} {unit}) are left to choose from; lower the budget or loosen the filters"
        )
    bounded = (low is not None and np.any(low)) or (high is not None and not np.isposinf(high).all())
    if costs is None and not bounded:
        return _top(scores, amount)
    order = allowed[np.argsort(-scores[allowed], kind="stable")]
    cost = np.ones(len(order), np.int64) if costs is None else np.asarray(costs, np.int64)[order]
    if not bounded:
        return order[: int(np.searchsorted(np.cumsum(cost), amount)) + 1]
    if sources is None:
        raise InputError("bounds per source need the source of each document")
    source = np.asarray(sources)[order]
    size = max(len(x) for x in (low, high) if x is not None)
    if size <= int(np.max(sources)):
        raise InputError(f"bounds are given for {size} sources, but the documents name source {int(np.max(sources))}")
    if costs is None:
        least, most = (b.astype(np.float64) for b in whole_bounds(low, high, amount, size))
    else:
        least, most = _float_bounds(low, high, size)
    held = np.bincount(source, weights=cost, minlength=size)
    check_floors(least, held, source_names, unit)
    if np.minimum(most, held).sum() < amount - _slack(amount):
        raise InputError(
            f"the ceilings leave {np.minimum(most, held).sum():.0f} {unit}, but the budget is {amount}; "
            "raise a ceiling or lower the budget"
        )
    before = _before_in_source(source, cost)
    reserved = before < (least - _slack(least))[source]
    free = ~reserved & (before < (most - _slack(amount))[source])
    spent = np.cumsum(np.where(free, cost, 0)) - np.where(free, cost, 0) + cost[reserved].sum()
    return order[reserved | (free & (spent < amount))]


def _top(scores: np.ndarray, k: int) -> np.ndarray:
    """Return the k largest, equal scores by row, without sorting all."""
    last = -np.partition(-scores, k - 1)[k - 1]
    above = np.flatnonzero(scores > last)
    rows = np.concatenate([above, np.flatnonzero(scores == last)[: k - len(above)]])
    return rows[np.lexsort((rows, -scores[rows]))]


def _before_in_source(source: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Return, per document in order, the cost of those of its own source that stand before it: (n,) int64."""
    grouped = np.argsort(source, kind="stable")
    ahead = np.cumsum(cost[grouped]) - cost[grouped]
    starts = np.searchsorted(source[grouped], source[grouped])
    before = np.empty(len(source), np.int64)
    before[grouped] = ahead - ahead[starts]
    return before


def _float_bounds(low: np.ndarray | None, high: np.ndarray | None, size: int) -> tuple[np.ndarray, np.ndarray]:
    least = np.zeros(size) if low is None else np.asarray(low, np.float64)
    most = np.full(size, np.inf) if high is None else np.asarray(high, np.float64)
    return least, most


def whole_bounds(
    low: np.ndarray | None, high: np.ndarray | None, amount: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Round bounds inwards to whole units where the budget stays feasible, else by largest remainder."""
    low_float, high_float = _float_bounds(low, high, size)
    if low_float.sum() > amount + _slack(amount):
        raise InputError(f"the floors add up to {low_float.sum():.0f}, but the budget is {amount}")
    high_float = np.minimum(high_float, amount)
    if high_float.sum() < amount - _slack(amount):
        raise InputError(f"the ceilings add up to {high_float.sum():.0f}, but the budget is {amount}")
    least = np.ceil(low_float - _slack(low_float)).astype(np.int64)
    if least.sum() > amount:
        least = largest_remainder(low_float, amount)
    most = np.floor(high_float + _slack(high_float)).astype(np.int64)
    if most.sum() < amount:
        most = largest_remainder(high_float, amount)
    return least, np.maximum(most, least)


def check_floors(least: np.ndarray, held: np.ndarray, names: Sequence[str] | None, unit: str = "documents") -> None:
    """Raise InputError, naming the source, where a lower bound is more than the source holds."""
    short = np.flatnonzero(least > held + _slack(held))
    if len(short):
        s = int(short[0])
        name = repr(names[s]) if names is not None else str(s)
        raise InputError(
            f"the floor of source {name} is {least[s]:.0f} {unit}, but only {held[s]:.0f} can be chosen "
            "there; lower the floor"
        )


def _water_fill(shares: np.ndarray, low: np.ndarray, high: np.ndarray, amount: int) -> np.ndarray:
    """Return clip(t shares, low, high) with the t that makes it sum to ``amount``: (s,) float64."""

    def fill(t: float) -> np.ndarray:
        return np.clip(t * shares, low, high)

    wet = shares > 0
    most = high[wet].sum() + low[~wet].sum()
    if most < amount:
        raise InputError(
            f"the sources with a share hold {most:.0f}, but the budget is {amount}; "
            "lower the budget or give the others a share"
        )
    levels = np.unique(np.concatenate([low[wet] / shares[wet], high[wet] / shares[wet]]))
    # the sum grows with t and is linear between neighbouring levels
    left, right = 0, len(levels) - 1
    while left < right:
        middle = (left + right) // 2
        if fill(levels[middle]).sum() >= amount:
            right = middle
        else:
            left = middle + 1
    top = levels[left]
    below = levels[left - 1] if left else 0.0
    base = fill(below)
    rise = float((fill(top) - base).sum())
    share = (amount - float(base.sum())) / rise if rise > 0 else 0.0
    return np.clip(base + share * (fill(top) - base), low, high)
