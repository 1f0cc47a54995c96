"""The stage ``federate`` as the command line and the common battery know it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harmonia.core.recipe import Recipe
from harmonia.core.stage import Stage
from harmonia.data.labelled import NAMED, Labelled
from harmonia.federate.comparison import compare
from harmonia.federate.diagnosis import diagnose
from harmonia.federate.loss import MR, Decorr, Moon, MRIntra
from harmonia.federate.perturb import LESAM, SAM
from harmonia.federate.recipe import FederateRecipe
from harmonia.federate.recipes import BOOK
from harmonia.federate.references import REFERENCES
from harmonia.federate.schedule import Skip


class FederateTrial:
    """Trains four clients for four rounds; the data are labelled examples in memory."""

    identity = "weights"

    def tiny(self, recipe: FederateRecipe) -> FederateRecipe:
        """Return a recipe that trains in a fraction of a second."""
        return recipe.model_copy(
            update={"training": recipe.training.model_copy(update={"batch": 8, "learning_rate": 0.05})}
        )

    def run(self, recipe: Recipe, data: Any, *, seed: int, out: Path, resume: bool = False) -> dict[str, np.ndarray]:
        from harmonia.federate.engine import federate

        assert isinstance(recipe, FederateRecipe)
        result = federate(
            data,
            self.tiny(recipe),
            clients=4,
            partition="dirichlet:1.0",
            rounds=4,
            model="mlp:6",
            seed=seed,
            engine="loop",
            out=out,
            resume=resume,
        )
        rows = result.rounds
        numbers = {name: rows[name].to_numpy() for name in ("round", "loss", "drift")}
        personal = np.array([np.nan if x is None else x for x in result.summary["personal"]["clients"]])
        return {**numbers, "personal": personal, "weights": result.model.vector}

    def reordered(self, data: Any, folder: Path) -> Any:
        """Return the same examples in another order."""
        order = np.random.default_rng(0).permutation(len(data.train.labels))
        return replace(data, train=data.train.subset(order))

    def limits(self, recipe: Recipe) -> Iterator[tuple[str, Recipe, Recipe]]:
        assert isinstance(recipe, FederateRecipe)

        def without(*settings: str) -> Recipe:
            return recipe.with_settings(settings).model_copy(update={"name": f"{recipe.name} without"})

        if isinstance(recipe.perturb, SAM | LESAM):
            yield "rho-0", recipe.with_settings(["perturb.rho=0"]), without("perturb=none")
        if recipe.drift.kind_name() == "prox":
            yield "mu-0", recipe.with_settings(["drift.mu=0"]), without("drift=none")
        if isinstance(recipe.schedule, Skip):
            yield "period-1", recipe.with_settings(["schedule.period=1"]), without("schedule=every")
        if isinstance(recipe.loss, Decorr):
            yield "beta-0", recipe.with_settings(["loss.beta=0"]), without("loss=ce")
        if isinstance(recipe.loss, MRIntra | Moon):
            yield "mu-0", recipe.with_settings(["loss.mu=0"]), without("loss=ce")
        if isinstance(recipe.loss, MR):
            yield "mu-0", recipe.with_settings(["loss.mu_intra=0", "loss.mu_inter=0"]), without("loss=ce")

    def spoiled(self, data: Any, folder: Path) -> Iterator[tuple[str, Any, str]]:
        yield "nothing", folder / "missing", "missing"
        yield "no-examples", replace(data, train=data.train.subset(np.arange(0))), "example"


def reads(place: Any) -> bool:
    """Return whether something is labelled examples, or the name of such; a table may as well hold documents."""
    return isinstance(place, Labelled) or str(place) in NAMED or str(place).endswith(".npz")


STAGE = Stage(
    name="federate",
    question="One model from clients whose data differ and stay with them?",
    book=BOOK,
    references=REFERENCES,
    compare=compare,
    trial=FederateTrial(),
    reads=reads,
    diagnose=diagnose,
)
