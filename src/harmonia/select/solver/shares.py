"""The budget of a problem, whole or split over groups of documents (batches, blocks, strata), and the picks joined.

Documents are split exactly: water-filling and largest remainder over groups, and over groups within each bounded
source. In tokens the document that crosses a group's part is taken and the excess is charged to the next group.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from harmonia.core.errors import InputError
from harmonia.maths.ledger import Ledger
from harmonia.maths.quotas import bounded_top, quotas, whole_bounds
from harmonia.select.solver.base import Picks, Problem


@dataclass(frozen=True)
class Share:
    """A part of the pool with its part of the budget.

    Attributes:
        rows: (m,) int64 ascending rows of the pool, without rows already chosen.
        keys: (m,) uint64 key of each; of equal documents the one of smaller key goes first, so that the order of
            reading decides nothing.
        sources: (m,) source of each.
        costs: (m,) tokens of each, or None when documents are counted.
        amount: documents or tokens to take here.
        low: (s,) least per source in that unit, or None.
        high: (s,) most per source, or None.
    """

    rows: np.ndarray
    keys: np.ndarray
    sources: np.ndarray
    costs: np.ndarray | None
    amount: int
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    @property
    def size(self) -> int:
        """How many documents will be taken, estimated by the mean cost for tokens."""
        if self.costs is None:
            return min(self.amount, len(self.rows))
        return max(1, min(len(self.rows), round(self.amount / float(self.costs.mean()))))

    def documents(self) -> Share:
        """Return this share counted in documents, bounds in proportion."""
        if self.costs is None:
            return self
        scale = self.size / self.amount
        return Share(
            self.rows,
            self.keys,
            self.sources,
            None,
            self.size,
            None if self.low is None else self.low * scale,
            None if self.high is None else self.high * scale,
        )

    def ledger(self, candidates: np.ndarray, positions: np.ndarray) -> Ledger:
        """Return a ledger over a larger list of candidates, in which ``rows`` stand at ``positions``."""
        costs, sources = np.ones(len(candidates), np.int64), np.zeros(len(candidates), np.int32)
        keys = np.zeros(len(candidates), np.uint64)
        sources[positions], keys[positions] = self.sources, self.keys
        if self.costs is not None:
            costs[positions] = self.costs
        return Ledger(
            candidates,
            self.amount,
            costs=None if self.costs is None else costs,
            sources=sources,
            low=self.low,
            high=self.high,
            keys=keys,
        )

    @cached_property
    def _by_key(self) -> np.ndarray:
        return np.argsort(self.keys, kind="stable")

    def top(self, scores: np.ndarray) -> np.ndarray:
        """Return the positions of the best scores that fit; fewer than the amount where no more may be taken.

        Args:
            scores: (m,) score of each row of the share; -inf is never taken.
        """
        order = self._by_key
        return order[self._top(scores[order], self.sources[order], None if self.costs is None else self.costs[order])]

    def _top(self, scores: np.ndarray, sources: np.ndarray, costs: np.ndarray | None) -> np.ndarray:
        cost = np.ones(len(scores), np.int64) if costs is None else costs
        allowed = scores > -np.inf
        held = np.bincount(sources[allowed], weights=cost[allowed], minlength=self._sources())
        if self.low is None or self.high is None:
            amount = min(self.amount, int(held.sum()))
            return bounded_top(scores, amount, costs=costs) if amount else np.empty(0, np.int64)
        low = np.minimum(self.low, held)
        amount = min(self.amount, int(np.minimum(np.maximum(self.high, low), held).sum() + 1e-6))
        if not amount:
            return np.empty(0, np.int64)
        return bounded_top(scores, amount, sources=sources, low=low, high=self.high, costs=costs)

    def _sources(self) -> int:
        return 0 if self.low is None else len(self.low)


@dataclass(frozen=True)
class Chosen:
    """What was taken from one share: (k,) rows of the pool, (k,) scores, (k, t) terms, and what the solver found."""

    rows: np.ndarray
    scores: np.ndarray
    terms: np.ndarray
    facts: dict[str, float] = field(default_factory=dict)


def whole(problem: Problem) -> Share:
    """Return the whole pool with the whole budget.

    Raises:
        InputError: there are fewer documents than the budget, or bounds that cannot hold.
    """
    return split(problem, np.zeros(len(problem.pool), np.int64))[0]


def split(
    problem: Problem,
    groups: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    closed: np.ndarray | None = None,
    candidates: str = "documents",
) -> list[Share]:
    """Split the pool and the budget into groups.

    Args:
        problem: what is to be solved.
        groups: (n,) int group of each document, -1 for one that may not be taken.
        weights: (g,) part of the budget of each group; in proportion to what it holds when None. A group that cannot
            take its part passes the rest on.
        closed: (n,) bool, documents that stay in their group's view but may not be taken (default none).
        candidates: what documents that may be taken are called in messages.

    Returns:
        One share per group, in order; some may have amount 0.

    Raises:
        InputError: there are fewer candidates than the budget, or bounds that cannot hold.
    """
    pool, budget = problem.pool, problem.budget
    groups = np.array(groups)
    groups[problem.chosen] = -1
    rows = np.flatnonzero(groups >= 0)
    count = int(groups.max(initial=0)) + 1 if weights is None else len(weights)
    group, sources = groups[rows], pool.sources[rows]
    costs = None if budget.unit == "documents" else pool.tokens[rows]
    if costs is not None and (costs < 1).any():
        row = int(rows[np.flatnonzero(costs < 1)[0]])
        raise InputError(
            f"document {pool.name_of(row)!r} has {pool.tokens[row]} tokens; a token budget needs at least 1"
        )
    amount = budget.amount
    low, high = budget.bounds(pool.source_names) if budget.floors or budget.ceilings else (None, None)
    kinds = 1 if low is None else len(pool.source_names)
    cell = group * kinds + (0 if low is None else sources)
    worth = np.ones(len(rows), np.int64) if costs is None else costs
    if closed is not None:
        worth = np.where(closed[rows], 0, worth)
    held = np.bincount(cell, weights=worth, minlength=count * kinds).reshape(count, kinds).astype(np.int64)
    if held.sum() < amount:
        excluded = np.count_nonzero(problem.forbidden)
        raise InputError(
            f"the budget is {amount} {budget.unit}, but only {held.sum()} remain among {len(rows)} {candidates}"
            + (f" (the objective excludes {excluded} of {len(pool)} documents)" if excluded else "")
            + "; lower the budget"
        )
    lows = highs = None
    limits, least = held, None
    if low is not None and high is not None:
        lows, highs = _cells(problem, held, low, high)
        limits, least = np.minimum(highs, held), lows.sum(axis=1)
    amounts = quotas(held.sum(axis=1) if weights is None else weights, limits.sum(axis=1), amount, low=least)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(count + 1))
    members = [order[starts[g] : starts[g + 1]] for g in range(count)]
    return [
        Share(
            rows[m],
            pool.keys[rows[m]],
            sources[m],
            None if costs is None else costs[m],
            int(amounts[g]),
            None if lows is None else lows[g].astype(np.float64),
            None if highs is None else highs[g].astype(np.float64),
        )
        for g, m in enumerate(members)
    ]


def _cells(problem: Problem, held: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split each source's bounds over the groups in proportion to what they hold: two (g, s) int64 arrays."""
    budget, names = problem.budget, problem.pool.source_names
    least, most = whole_bounds(low, high, budget.amount, len(names))
    total = held.sum(axis=0)
    for s in np.flatnonzero(least > total):
        raise InputError(
            f"the floor of {names[s]!r} is {least[s]} {budget.unit}, but only {total[s]} can be chosen "
            "there; lower the floor"
        )
    most = np.minimum(most, total)
    if most.sum() < budget.amount:
        raise InputError(
            f"the ceilings leave {most.sum()} {budget.unit}, but the budget is {budget.amount}; "
            "raise a ceiling or lower the budget"
        )
    lows, highs = np.zeros_like(held), np.zeros_like(held)
    for s in np.flatnonzero(total):
        lows[:, s] = quotas(held[:, s], held[:, s], int(least[s])) if least[s] else 0
        left = held[:, s] - lows[:, s]
        extra = int(most[s] - least[s])
        highs[:, s] = lows[:, s] + (quotas(left, left, extra) if extra else 0)
    return lows, highs


def spend(
    problem: Problem, shares: Sequence[Share], take: Callable[[Share], Chosen], *, complete: bool = True
) -> Picks:
    """Solve every share and put the picks together; a fact is its mean over the shares.

    Shares counted in documents are independent and run in threads; the result does not depend on how many.

    Args:
        problem: what is to be solved.
        shares: its parts.
        take: solves one part.
        complete: the budget must be met.

    Raises:
        InputError: the budget or a floor was not met.
    """
    names = problem.function.names  # fits a deferred objective once, before there are threads
    if problem.budget.unit == "documents":
        busy = [g for g, share in enumerate(shares) if share.amount]
        parts = dict(zip(busy, _at_once(take, [shares[g] for g in busy]), strict=True))
    else:
        parts = dict(_in_turn(problem, shares, take))
    picks = Picks(
        rows=np.concatenate([p.rows for p in parts.values()]) if parts else np.empty(0, np.int64),
        scores=np.concatenate([p.scores for p in parts.values()]) if parts else np.empty(0),
        terms=_columns(names, list(parts.values())),
        batches=np.repeat(np.array(list(parts), np.int64), [len(p.rows) for p in parts.values()]),
        facts={
            name: float(np.mean([p.facts[name] for p in parts.values()]))
            for name in dict.fromkeys(name for p in parts.values() for name in p.facts)
        },
    )
    _check(problem, picks.rows, complete)
    return picks


def _at_once(take: Callable[[Share], Chosen], shares: Sequence[Share]) -> list[Chosen]:
    if len(shares) == 1:
        return [take(shares[0])]
    from threadpoolctl import threadpool_limits

    # a share is small: one core each is better than all cores on one
    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(take, shares))


def _in_turn(problem: Problem, shares: Sequence[Share], take: Callable[[Share], Chosen]) -> list[tuple[int, Chosen]]:
    """Solve shares of tokens in turn; what a crossing document took too much, or what was left, goes to the next."""
    tokens, sources = problem.pool.tokens, problem.pool.sources
    parts = []
    target = spent = 0
    kinds = len(problem.pool.source_names)
    low, high, used = np.zeros(kinds), np.zeros(kinds), np.zeros(kinds)
    for g, share in enumerate(shares):
        target += share.amount
        bounds = {}
        if share.low is not None and share.high is not None:
            low, high = low + share.low, high + share.high
            bounds = {"low": np.maximum(low - used, 0), "high": np.maximum(high - used, 0)}
        amount = max(target - spent, int(np.ceil(bounds["low"].sum())) if bounds else 0)
        if amount <= 0 or not len(share.rows):
            continue
        part = take(replace(share, amount=amount, **bounds))
        spent += int(tokens[part.rows].sum())
        used += np.bincount(sources[part.rows], weights=tokens[part.rows], minlength=kinds)
        parts.append((g, part))
    return parts


def _columns(names: Sequence[str], parts: Sequence[Chosen]) -> dict[str, np.ndarray]:
    table = np.concatenate([np.empty((0, len(names))), *(p.terms for p in parts if len(p.rows))])
    return {name: table[:, t] for t, name in enumerate(names)}


def _check(problem: Problem, rows: np.ndarray, complete: bool) -> None:
    pool, budget = problem.pool, problem.budget
    cost = np.ones(len(rows), np.int64) if budget.unit == "documents" else pool.tokens[rows]
    if complete and cost.sum() < budget.amount:
        left = len(pool) - len(problem.chosen) - len(rows)
        raise InputError(
            f"the budget is {budget.amount} {budget.unit}, but after {cost.sum()} none of the {left} "
            "documents that remain may be picked (a score of -inf, or a ceiling that is reached); "
            "lower the budget"
        )
    if budget.floors:
        low, high = budget.bounds(pool.source_names)
        if budget.unit == "documents":
            low = whole_bounds(low, high, budget.amount, len(low))[0].astype(np.float64)
        taken = np.bincount(pool.sources[rows], weights=cost, minlength=len(low))
        for s in np.flatnonzero(taken < low - 1e-6):
            raise InputError(
                f"the floor of {pool.source_names[s]!r} is {low[s]:.0f} {budget.unit}, "
                f"but only {taken[s]:.0f} can be picked there; lower the floor"
            )
