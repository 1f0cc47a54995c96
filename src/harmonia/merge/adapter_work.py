"""A run that merges LoRA adapters into one adapter, so that no base is read and none is written."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harmonia.core.citation import entries
from harmonia.core.errors import InputError, require
from harmonia.core.files import write_json
from harmonia.core.measure import peak_memory_bytes, reset_peak_memory
from harmonia.core.run import Run
from harmonia.data.checkpoints import located, refuse_input
from harmonia.merge.adapters import merge_adapters
from harmonia.merge.inputs import ADAPTERS, short_names
from harmonia.merge.recipe import MergeRecipe
from harmonia.merge.recipes import BOOK
from harmonia.merge.references import REFERENCES
from harmonia.merge.result import MergeResult


def merge_kept(
    experts: Sequence[str | Path],
    recipe: str | Path | MergeRecipe = "linear",
    *,
    base: str | Path | None = None,
    weights: Sequence[float] | None = None,
    settings: Iterable[str] = (),
    rank: int | None = None,
    dtype: str | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
) -> MergeResult:
    """Merge adapters of one base into one adapter: RUN/result/adapter, which PEFT loads.

    Args:
        experts: folders or Hub ids of LoRA adapters.
        recipe: a rule on task vectors, or ``linear``; adapters are task vectors themselves.
        base: what the new adapter names as its base; the experts' when left out.
        weights: w_i; 1 each when left out.
        settings: changes to the recipe.
        rank: most that a layer's adapter may have; the sum of the experts' when left out.
        dtype: of the factors.
        seed: of whatever the rule draws.
        out: run folder.
        resume: go on with an interrupted run; an adapter that was not finished begins again.

    Raises:
        InputError: no adapters, adapters that do not match, or a recipe that does not suit.
    """
    require("torch", "merge")
    record = BOOK.load(recipe).with_settings(settings)
    record.check()
    if record.routing.is_mixture:
        raise InputError(f"--adapters keep: recipe {record.name} makes a mixture of whole models; take --adapters fold")
    counts = [1.0] * len(experts) if weights is None else [float(weight) for weight in weights]
    record.weights.check(len(experts), True, counts)
    places = [located(expert) for expert in experts]
    if out is not None:
        refuse_input(Path(out), places)
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="harmonia-merge-"))
    names = short_names([str(expert) for expert in experts])
    request = {
        "base": None if base is None else str(base),
        "experts": names,
        "inputs": [[str(path), path.stat().st_size] for place in places for path in sorted(place.glob("adapter_*"))],
        "weights": counts,
        "rank": rank,
        "dtype": dtype,
        "seed": seed,
        "references": list(dict.fromkeys([*record.references(), *ADAPTERS])),
    }
    with Run.start(folder, record, request, resume=resume) as run:
        if not run.finished:
            reset_peak_memory()
            target = run.result / "adapter"
            shutil.rmtree(
                target, ignore_errors=True
            )  # one that an earlier process left behind is not known to be whole
            try:
                with run.phase("merge"):
                    told = merge_adapters(
                        experts,
                        target,
                        rule=record.weights,
                        counts=counts,
                        rank=rank,
                        base=None if base is None else str(base),
                        dtype=dtype,
                        seed=seed,
                    )
            except InputError:
                shutil.rmtree(run.result, ignore_errors=True)  # so that the mended request may use the folder
                raise
            write_json(run.result / "summary.json", _summary(run, record, names, counts, seed, told))
            run.finish()
    return MergeResult(folder)


def _summary(
    run: Run, record: MergeRecipe, names: Sequence[str], counts: Sequence[float], seed: int, told: dict[str, Any]
) -> dict[str, Any]:
    return {
        "stage": "merge",
        "recipe": record.name,
        "axes": {axis: part.kind_name() for axis, part in record.choices().items()},
        "base": run.request["base"],
        "experts": [{"name": name, "weight": count} for name, count in zip(names, counts, strict=True)],
        "weights_of": 0,
        "seed": seed,
        "models": [{"folder": "adapter"}],
        "parameters": told["parameters"],
        "tensors": 2 * told["modules"],
        "dtypes": told["dtypes"],
        "bytes": {"inputs": told["bytes_read"], "model": told["bytes"]},
        "disagreement": None,
        "adapter": {key: told[key] for key in ("rank", "modules", "exact", "error", "errors")},
        "seconds": run.seconds,
        "peak_memory_bytes": peak_memory_bytes(),
        "warnings": run.warnings,
        "cite": entries(run.request["references"], REFERENCES),
    }
