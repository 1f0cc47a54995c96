"""One dense model of several: merge tensor by tensor, tell how the experts disagree."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

from harmonia.core.errors import InputError
from harmonia.core.files import write_json
from harmonia.core.measure import reset_peak_memory
from harmonia.core.run import Run
from harmonia.data.checkpoints.writer import UNFINISHED
from harmonia.maths.task_vectors import Disagreement
from harmonia.merge.adamerging import fitted
from harmonia.merge.card import write_card
from harmonia.merge.disagreement import disagreement as measured
from harmonia.merge.disagreement import summary
from harmonia.merge.recipe import MergeRecipe
from harmonia.merge.streaming import merge, sweep
from harmonia.merge.wanted import Wanted
from harmonia.merge.weights.base import Weights
from harmonia.merge.weights.scaled import Scaled


def merge_dense(run: Run, record: MergeRecipe, wanted: Wanted) -> None:
    """Do what is left of a run: the model, or one for each scaling, its card, and the summary.

    Args:
        run: open; finished files of an earlier process are kept.
        record: the recipe.
        wanted: models, weights and what else is asked for.
    """
    reset_peak_memory()
    folders: dict[Path, float | None] = {
        run.result / f"model-scaling-{scaling:g}": scaling for scaling in wanted.scalings
    } or {run.result / "model": None}
    inputs, plan = wanted.inputs, wanted.inputs.plan
    measure = wanted.disagreement and plan.base is not None
    texts = None if wanted.windows is None else wanted.windows.positive
    with run.phase("fit"):
        rule, fit = fitted(
            record.weights,
            plan,
            texts,
            run.keep,
            counts=wanted.counts,
            counts_of=wanted.counts_of,
            seed=wanted.seed,
        )
    with run.phase("merge"):
        found = _merged(run, rule, wanted, folders, measure)
    for folder, scaling in folders.items():
        write_card(folder, record, inputs, wanted.counts, scaling)
    told = summary(found, inputs.experts) if measure else None
    if told is not None:
        write_json(run.result / "disagreement.json", told)
        for line in told["warnings"]:
            run.warn(line)
    cost = plan.estimate()
    models = [{"folder": f.name, **({} if s is None else {"scaling": s})} for f, s in folders.items()]
    write_json(
        run.result / "summary.json",
        {
            **wanted.summary(run, record, told),
            "fit": fit,
            "models": models,
            "parameters": sum(tensor.slot.size for tensor in plan.tensors),
            "tensors": len(plan.tensors),
            "untouched": None if told is None else sum(not any(t["norms"]) for t in told["tensors"].values()),
            "copied": list(plan.copied),
            "dropped": [[expert, list(names)] for expert, names in plan.dropped],
            "tied": [list(pair) for pair in plan.tied],
            "dtypes": sorted({tensor.slot.dtype for tensor in plan.merged}),
            "bytes": {"inputs": cost.bytes_read, "model": cost.bytes_written},
        },
    )


def _merged(
    run: Run, rule: Weights, wanted: Wanted, folders: dict[Path, float | None], measure: bool
) -> dict[str, Disagreement]:
    """Write the models that are not finished, and return how the experts disagree."""
    plan, waiting = wanted.inputs.plan, {f: s for f, s in folders.items() if not _complete(f)}
    found: dict[str, Disagreement] = {}
    options: dict[str, Any] = {
        "counts": wanted.counts,
        "counts_of": wanted.counts_of,
        "seed": wanted.seed,
        "threads": wanted.threads,
        "shard": wanted.shard,
        "measure": measure,
        "resume": True,
    }
    if waiting:
        lambdas = {f: s for f, s in waiting.items() if s is not None}
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                if lambdas:
                    assert isinstance(rule, Scaled)  # or there were none
                    found = sweep(plan, rule, lambdas, **options).disagreement
                else:
                    found = merge(plan, rule, next(iter(waiting)), **options).disagreement
        except InputError:
            if not any(run.result.rglob("*.safetensors")):  # so that the mended request may use the folder
                shutil.rmtree(run.result, ignore_errors=True)
            raise
        for line in dict.fromkeys(str(one.message) for one in said if issubclass(one.category, UserWarning)):
            run.warn(line)
    if measure and not found:  # an earlier process was stopped after its last file
        found = measured(plan, threads=wanted.threads)
    return found


def _complete(folder: Path) -> bool:
    """Return whether an earlier process wrote all of a checkpoint."""
    return (folder / "config.json").exists() and not (folder / UNFINISHED / "request.json").exists()
