"""The stage ``merge`` as the command line and the common battery know it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harmonia.core.recipe import Recipe
from harmonia.core.stage import Stage
from harmonia.merge.comparison import compare
from harmonia.merge.diagnosis import diagnose
from harmonia.merge.recipe import MergeRecipe
from harmonia.merge.recipes import BOOK
from harmonia.merge.references import REFERENCES
from harmonia.merge.routing.trained import TrainedRouter
from harmonia.merge.weights.adamerging import AdaMerging
from harmonia.merge.weights.breadcrumbs import BreadcrumbsRule
from harmonia.merge.weights.dare import Dare
from harmonia.merge.weights.della import DellaRule
from harmonia.merge.weights.scaled import Scaled
from harmonia.merge.weights.task_vectors import TaskVectorRule
from harmonia.merge.weights.ties import Ties


class MergeTrial:
    """Merges small models; the data are the folder of a base and those of two experts, the base first.

    A mixture is known by what it says of some tokens; its experts have prompts.jsonl beside their weights.
    """

    identity = "weights"

    def run(self, recipe: Recipe, data: Any, *, seed: int, out: Path, resume: bool = False) -> dict[str, np.ndarray]:
        from safetensors.numpy import load_file

        from harmonia.merge.engine import merge

        assert isinstance(recipe, MergeRecipe)
        base, *experts = data
        if isinstance(recipe.routing, TrainedRouter):
            recipe = recipe.with_settings(["routing.steps=6"])
        if isinstance(recipe.weights, AdaMerging):
            recipe = recipe.with_settings(["weights.steps=3"])
        texts = {Path(e).name: Path(e) / "prompts.jsonl" for e in experts if (Path(e) / "prompts.jsonl").is_file()}
        # several small files, so that a run can be stopped between them
        result = merge(
            experts,
            recipe,
            base=base,
            prompts=texts if recipe.routing.reads_examples or isinstance(recipe.weights, AdaMerging) else None,
            seed=seed,
            shard=1200 if not recipe.routing.is_mixture else 20_000,
            threads=1,
            out=out,
            resume=resume,
        )
        if recipe.routing.is_mixture:
            return {"weights": _logits(result.model)}
        tensors = {
            name: t for path in sorted(result.model.glob("*.safetensors")) for name, t in load_file(path).items()
        }
        return {"weights": np.concatenate([tensors[name].ravel() for name in sorted(tensors)])}

    def reordered(self, data: Any, folder: Path) -> Any:
        """Return the experts in another order."""
        base, *experts = data
        return [base, *reversed(experts)]

    def limits(self, recipe: Recipe) -> Iterator[tuple[str, Recipe, Recipe]]:
        assert isinstance(recipe, MergeRecipe)
        rule = recipe.weights
        whole = {
            Ties: ["weights.density=1", "weights.normalize=false"],
            Dare: ["weights.density=1"],
            BreadcrumbsRule: ["weights.density=1", "weights.gamma=0"],
            DellaRule: ["weights.density=1", "weights.epsilon=0", "weights.normalize=false"],
        }
        for part, settings in whole.items():
            if isinstance(rule, part) and isinstance(rule, TaskVectorRule):
                others = "ties:density=1,normalize=false" if rule.elects else "task-arithmetic"
                same = recipe.with_settings([f"weights={others}", f"weights.scaling={rule.scaling}"])
                yield "nothing-dropped", recipe.with_settings(settings), same
        if isinstance(rule, Scaled):
            nothing = recipe.with_settings(["weights=task-arithmetic:scaling=0"])
            yield "scaling-0", recipe.with_settings(["weights.scaling=0"]), nothing

    def spoiled(self, data: Any, folder: Path) -> Iterator[tuple[str, Any, str]]:
        base, *experts = data
        yield "nothing", [base, experts[0], folder / "missing"], "missing"
        yield "no-model", [base, experts[0], folder.parent], "config.json"
        yield "twice", [base, experts[0], experts[0]], "twice"


def _logits(folder: Path) -> np.ndarray:
    import torch

    from harmonia.models.mixture.folder import load

    mixture = load(folder)
    draw = np.random.default_rng(0)
    with torch.no_grad():
        ids = torch.from_numpy(draw.integers(0, len(mixture.embedding), (4, 9)))
        found: np.ndarray = mixture(input_ids=ids).logits.double().numpy()
    return found.ravel()


def reads(place: Any) -> bool:
    """Return whether something is the folder of a model or an adapter."""
    folder = Path(str(place))
    described = any((folder / name).is_file() for name in ("config.json", "adapter_config.json"))
    return described and any(folder.glob("*.safetensors"))


STAGE = Stage(
    name="merge",
    question="Several fine-tunes of one model in one?",
    book=BOOK,
    references=REFERENCES,
    compare=compare,
    trial=MergeTrial(),
    reads=reads,
    diagnose=diagnose,
)
