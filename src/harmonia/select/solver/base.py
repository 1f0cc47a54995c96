"""The solver axis: how a good set is found, within a budget and per-source bounds."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from harmonia.core.errors import InputError
from harmonia.core.part import Part
from harmonia.select.budget import Budget
from harmonia.select.context import Context
from harmonia.select.pool import Pool
from harmonia.select.set_function import SetFunction


@dataclass(frozen=True)
class Problem:
    """A pool, the set function to maximise over it, and how much may be taken.

    Attributes:
        pool: n documents.
        function: set function over the pool.
        budget: how much to take, not counting ``chosen``.
        context: seed and services of the run.
        chosen: (c,) int64 rows that are in the set already; they are built upon and not picked again.
    """

    pool: Pool
    function: SetFunction
    budget: Budget
    context: Context = field(default_factory=Context)
    chosen: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        chosen = np.asarray(self.chosen, np.int64)
        object.__setattr__(self, "chosen", chosen)
        if len(chosen) and (chosen.min() < 0 or chosen.max() >= len(self.pool)):
            raise InputError(f"rows already chosen must lie in 0 .. {len(self.pool) - 1}")
        if len(np.unique(chosen)) < len(chosen):
            raise InputError("a row already chosen is named twice")
        if self.function.n != len(self.pool):
            raise InputError(f"the objective covers {self.function.n} documents, the pool has {len(self.pool)}")

    @cached_property
    def forbidden(self) -> np.ndarray:
        """Documents that no set may hold: (n,) bool."""
        return self.function.forbidden()


@dataclass(frozen=True)
class Picks:
    """The chosen rows in the order of picking.

    Attributes:
        rows: (k,) int64 rows of the pool.
        scores: (k,) float64 score of each pick: its marginal gain, or its own score for modular objectives.
        terms: objective term -> (k,) float64, the part of each term.
        batches: (k,) int64 index of the batch each pick was made in (all 0 for whole-pool solvers).
        facts: what the solver found out about itself, for the report: e.g. value, certified gap, iterations.
    """

    rows: np.ndarray
    scores: np.ndarray
    terms: dict[str, np.ndarray]
    batches: np.ndarray
    facts: dict[str, float] = field(default_factory=dict)


class Solver(Part):
    """Finds a set. Per-source bounds are shares of the budget and bind every solver."""

    @abstractmethod
    def solve(self, problem: Problem) -> Picks:
        """Return the picks.

        Raises:
            InputError: the set function lacks what this solver needs, or the budget cannot be met.
        """
