"""The stage ``select`` as the command line and the common battery know it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harmonia.core.recipe import Recipe
from harmonia.core.stage import Stage
from harmonia.select.comparison import compare
from harmonia.select.diagnose import diagnose
from harmonia.select.objective import Constant, Weighted
from harmonia.select.recipe import SelectRecipe
from harmonia.select.recipes import BOOK
from harmonia.select.references import REFERENCES
from harmonia.select.solver import FrankWolfe, Greedy, Gumbel, TopN


class SelectTrial:
    """Runs selections for the battery; the data are lists of records with id, text, source and quality."""

    budget = 12
    identity = "id"

    def run(self, recipe: Recipe, data: Any, *, seed: int, out: Path, resume: bool = False) -> dict[str, np.ndarray]:
        from harmonia.select.engine import select

        assert isinstance(recipe, SelectRecipe)
        result = select(
            data, recipe, budget=self.budget, seed=seed, out=out, resume=resume, workers=1, quality_column="quality"
        )
        picks = result.picks
        return {name: picks[name].to_numpy() for name in picks.columns if name != "text"}

    def reordered(self, data: Any, folder: Path) -> Any:
        return [data[i] for i in np.random.default_rng(0).permutation(len(data))]

    def limits(self, recipe: Recipe) -> Iterator[tuple[str, Recipe, Recipe]]:
        assert isinstance(recipe, SelectRecipe)
        if isinstance(recipe.solver, Gumbel) and not isinstance(recipe.objective, Constant):
            yield (
                "temperature-0",
                recipe.with_settings(["solver.temperature=0"]),
                recipe.with_settings(["solver=top-n"]),
            )
        if isinstance(recipe.solver, Greedy) and recipe.solver.batch != "all":
            yield (
                "one-batch",
                recipe.with_settings(["solver.batch=1000000"]),
                recipe.with_settings(["solver.batch=all"]),
            )
        if isinstance(recipe.objective, Weighted) and isinstance(recipe.solver, FrankWolfe):
            first = recipe.objective.terms[0].objective
            alone = recipe.model_copy(update={"objective": first, "solver": TopN()})
            yield "first-term-alone", recipe.with_settings(["objective.terms.1.weight=0"]), alone

    def spoiled(self, data: Any, folder: Path) -> Iterator[tuple[str, Any, str]]:
        yield "nothing", [], "document"
        yield "text-missing", [*data[:-1], {**data[-1], "text": None}], "text"
        yield (
            "text-not-a-string",
            [{**data[0], "text": ["a"]}, *({**row, "text": [row["text"]]} for row in data[1:])],
            "text",
        )
        yield "quality-not-a-number", [*data[:-1], {**data[-1], "quality": float("nan")}], "quality"
        yield "duplicate-ids", [*data, data[0]], str(data[0]["id"])
        yield "fewer-documents-than-the-budget", data[: self.budget - 1], "budget"


STAGE = Stage(
    name="select",
    question="Which documents are worth training on?",
    book=BOOK,
    references=REFERENCES,
    compare=compare,
    trial=SelectTrial(),
    reads=lambda place: True,
    diagnose=diagnose,
)
