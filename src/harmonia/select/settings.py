"""Everything besides the recipe and the documents that decides a selection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harmonia.core.errors import InputError
from harmonia.core.run import Run
from harmonia.data.documents import Columns
from harmonia.data.rejects import OnBad
from harmonia.select.budget import Budget
from harmonia.select.context import Context
from harmonia.select.pool import Pool

_ANY = 1 << 62


@dataclass(frozen=True)
class Settings:
    """Everything besides the recipe and the data that decides a selection.

    Attributes:
        budget: ``0.015``, ``"1.5%"``, ``1000`` (documents), ``"50Mtok"`` or ``"1.5%tok"`` (tokens).
        seed: seed of every random choice.
        columns: names of the input columns; what is left out is detected.
        on_bad: ``"stop"`` at a bad row, or ``"skip"`` it into ``rejects.parquet``.
        floors: source -> least share of the budget.
        ceilings: source -> largest share of the budget.
        dtype: ``"float32"`` (sums in float64) or ``"float64"``.
        ids_only: leave the original columns out of the picks.
        keep_rejected: also write what was left out, with the reason.
    """

    budget: str | float
    seed: int = 0
    columns: Columns = Columns()  # noqa: RUF009 - frozen
    on_bad: OnBad = "stop"
    floors: Mapping[str, float] | None = None
    ceilings: Mapping[str, float] | None = None
    dtype: str = "float32"
    ids_only: bool = False
    keep_rejected: bool = False

    def __post_init__(self) -> None:
        Budget.parse(self.budget, _ANY, _ANY)  # a budget that is none is refused before anything is read
        if self.dtype not in ("float32", "float64"):
            raise InputError(f"dtype {self.dtype!r}: choose float32 or float64")

    def request(self) -> dict[str, Any]:
        """Return the JSON record that a resumed run must match."""
        return {
            "budget": str(self.budget),
            "seed": self.seed,
            "columns": self.columns.record(),
            "on_bad": self.on_bad,
            "floors": dict(self.floors or {}),
            "ceilings": dict(self.ceilings or {}),
            "dtype": self.dtype,
            "ids_only": self.ids_only,
            "keep_rejected": self.keep_rejected,
        }

    def budget_for(self, pool: Pool) -> Budget:
        """Return the budget against a pool."""
        return Budget.parse(self.budget, len(pool), int(pool.tokens.sum()), floors=self.floors, ceilings=self.ceilings)

    def context(self, run: Run) -> Context:
        """Return the services of a run."""
        return Context(seed=self.seed, dtype=np.dtype(self.dtype).type, keep=run.keep, warn=run.warn)
