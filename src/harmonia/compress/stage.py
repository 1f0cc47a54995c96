"""The stage ``compress`` as the command line and the common battery know it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harmonia.compress.comparison import compare
from harmonia.compress.dense import Dense
from harmonia.compress.recipe import CompressRecipe
from harmonia.compress.recipes import BOOK
from harmonia.compress.reconstruction import Scale
from harmonia.compress.references import REFERENCES
from harmonia.core.arrays import read_arrays
from harmonia.core.errors import InputError
from harmonia.core.recipe import Recipe
from harmonia.core.stage import Stage


@dataclass(frozen=True)
class ModelAndTexts:
    """What the battery runs on.

    Attributes:
        model: a small language model, in memory or its folder.
        texts: to calibrate on.
    """

    model: Path | Dense
    texts: list[str]


class CompressTrial:
    """Cuts a small language model at two ratios; the data are its folder and some texts."""

    identity = "weights"

    def run(self, recipe: Recipe, data: Any, *, seed: int, out: Path, resume: bool = False) -> dict[str, np.ndarray]:
        from harmonia.compress.engine import compress

        assert isinstance(recipe, CompressRecipe)
        structure = recipe.structure.model_copy(update={"spare_first": 0, "spare_last": 0})
        calibration = recipe.calibration.model_copy(update={"sequences": 12, "length": 16})
        result = compress(
            data.model,
            recipe.model_copy(update={"structure": structure, "calibration": calibration}),
            ratio=[0.25, 0.5],
            calibration=data.texts,
            judged=64,
            timed=False,
            seed=seed,
            out=out,
            resume=resume,
        )
        weights = [
            tensor.reshape(-1)
            for ratio in result.ratios
            for _, tensor in sorted(read_arrays(result.path(ratio) / "model.safetensors").items())
        ]
        points = result.summary["points"]
        return {
            "weights": np.concatenate(weights),
            "parameters": np.array([point["parameters"] for point in points]),
            "score": np.array([point["score"] for point in points]),
            "errors": np.array([row["error"] or 0.0 for point in points for row in point["layers"]]),
        }

    def reordered(self, data: Any, folder: Path) -> Any:
        """Return the same texts in another order."""
        order = np.random.default_rng(0).permutation(len(data.texts))
        return ModelAndTexts(data.model, [data.texts[place] for place in order])

    def limits(self, recipe: Recipe) -> Iterator[tuple[str, Recipe, Recipe]]:
        assert isinstance(recipe, CompressRecipe)

        def without(*settings: str) -> Recipe:
            return recipe.with_settings(settings).model_copy(update={"name": f"{recipe.name} without"})

        if isinstance(recipe.reconstruction, Scale):
            # no factor is small enough, so every layer is left as sliced
            yield "bound-0", recipe.with_settings(["reconstruction.bound=1e-9"]), without("reconstruction=none")

    def spoiled(self, data: Any, folder: Path) -> Iterator[tuple[str, Any, str]]:
        yield "no-model", ModelAndTexts(folder / "missing", data.texts), "missing"
        yield "no-text", ModelAndTexts(data.model, []), "text"
        yield "little-text", ModelAndTexts(data.model, data.texts[:1]), "sequences"


def reads(place: Any) -> bool:
    """Return whether something is a model; this stage learns from text and judges models, and none of it is a pool."""
    return False


def diagnose(data: Any, **settings: Any) -> dict[str, Any]:
    """Refuse: there are no sources that could disagree.

    Raises:
        InputError: always.
    """
    raise InputError("a model to be compressed has no sources to diagnose: see harmonia compress MODEL --plan")


STAGE = Stage(
    name="compress",
    question="A smaller model without retraining?",
    book=BOOK,
    references=REFERENCES,
    compare=compare,
    trial=CompressTrial(),
    reads=reads,
    diagnose=diagnose,
)
