"""``harmonia compare compress``: several recipes on the same model, text and ratios.

Every cell is a run of its own. A seed draws the calibration sequences, the same for every recipe, and what layers read
of them is seen once for all recipes; what models are judged by is the same for all seeds.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from harmonia.compress.dense import Dense
from harmonia.compress.engine import JUDGED, compress, ratios_of
from harmonia.compress.judge import BETTER
from harmonia.compress.recipe import CompressRecipe
from harmonia.compress.recipes import BOOK
from harmonia.compress.references import REFERENCES
from harmonia.core.cells import finish_cells, share_cores
from harmonia.core.citation import entries
from harmonia.core.compare import Cell, check_table
from harmonia.core.compare import compare as table
from harmonia.core.errors import InputError, require
from harmonia.core.files import read_json, write_json
from harmonia.core.recipe import Recipe
from harmonia.core.run import Run


@dataclass(frozen=True)
class _Cell:
    """One recipe and seed of a comparison: picklable."""

    model: str
    recipe: CompressRecipe
    folder: Path
    seed: int
    settings: dict[str, Any]


class _Table(Recipe):
    """The record of a comparison in its run folder: the recipes lie in the request."""

    stage: ClassVar[str] = "compress"


def compare(
    model: str | Path,
    recipes: Sequence[str | Path | CompressRecipe],
    *,
    ratio: float | Sequence[float] | None = None,
    calibration: Any = None,
    held_out: Any = None,
    label: str | None = None,
    judged: int = JUDGED,
    fold_bias: bool = True,
    timed: bool = False,
    tasks: Sequence[str] = (),
    limit: int | None = None,
    settings: Iterable[str] = (),
    seeds: Iterable[int] = range(3),
    baseline: str | None = None,
    device: str = "cpu",
    allow_pytorch_bin: bool = False,
    keep_models: bool = False,
    out: str | Path,
    resume: bool = False,
    workers: int | None = 1,
    **reading: Any,
) -> dict[str, Any]:
    """Compare recipes by what their models are worth; arguments as of ``harmonia.compress``.

    Args:
        model: folder, .gguf file, name of the catalogue, or Hub id.
        recipes: names, YAML files or records; the first is the baseline.
        ratio: one or several.
        calibration: text; a seed draws the sequences of it.
        held_out: other text, to judge by.
        label: column of labels.
        judged: tokens to judge by.
        fold_bias: let layers gain a bias.
        timed: measure seconds per token.
        tasks: of lm-evaluation-harness, for language models.
        limit: examples of each task, at most.
        settings: changes to every recipe.
        seeds: one run per recipe and seed.
        baseline: name of the recipe to compare with.
        device: where models are.
        allow_pytorch_bin: read pytorch_model.bin where there are no safetensors, and of the pickle only tensors.
        keep_models: leave the checkpoints of all runs on the disk.
        out: run folder.
        resume: go on with an interrupted comparison.
        workers: runs at a time, each with a model in memory.
        reading: names of columns.

    Returns:
        The record of ``harmonia.core.compare.Comparison``, with the curve of score against what is left of every run.

    Raises:
        InputError: unusable model, text, recipes or settings.
    """
    require("torch", "compress")
    require("transformers", "compress")
    seeds, settings = list(seeds), list(settings)
    loaded = [BOOK.load(recipe).with_settings(settings) for recipe in recipes]
    baseline = check_table([record.name for record in loaded], seeds, baseline)
    for record in loaded:
        record.check()
    if calibration is None and held_out is None:
        raise InputError("models are judged by text: give --calibration, or --held-out for recipes without data")
    ratios = None if ratio is None else ratios_of(ratio)
    records = {record.name: record for record in loaded}
    references = list(dict.fromkeys(key for record in loaded for key in record.references()))
    shared = {
        "ratio": ratios,
        "calibration": calibration,
        "held_out": held_out,
        "label": label,
        "judged": judged,
        "fold_bias": fold_bias,
        "timed": timed,
        "tasks": list(tasks),
        "limit": limit,
        "device": device,
        **reading,
    }
    request = {
        "model": str(model),
        "recipes": {name: record.to_yaml() for name, record in records.items()},
        "seeds": seeds,
        "baseline": baseline,
        "references": references,
        **{key: value if isinstance(value, str | int | float | None) else str(value) for key, value in shared.items()},
    }
    with Run.start(out, _Table(name="comparison"), request, resume=resume) as run:
        if not run.finished:
            asked = {**shared, "allow_pytorch_bin": allow_pytorch_bin}
            cells = {
                (name, seed): _Cell(str(model), record, run.folder / "runs" / f"{name}-{seed}", seed, asked)
                for seed in seeds
                for name, record in records.items()
            }
            finish_cells(cells.values(), partial(_runner, run.state / "statistics", keep_models), workers)
            summaries = {key: read_json(cell.folder / "result" / "summary.json") for key, cell in cells.items()}
            some = next(iter(summaries.values()))
            score = some["score"]["name"]
            measured = table(partial(_cell, summaries), list(records), seeds, baseline=baseline, run=run)
            write_json(
                run.result / "comparison.json",
                {
                    "stage": "compress",
                    "judge": f"{score} on {some['judged']['tokens']:,} tokens that no recipe saw",
                    "better": {score: BETTER[score], "log_perplexity_lost": "lower", **_directions(some)},
                    "model": str(model),
                    "dense": some["dense"],
                    "ratios": [point["ratio"] for point in some["points"]],
                    "shrinking": {n: [_curve(summaries[n, seed]) for seed in seeds] for n in records},
                    "warnings": sorted(
                        {f"{n}, seed {s}: {line}" for (n, s), found in summaries.items() for line in found["warnings"]}
                    ),
                    "cite": entries(references, REFERENCES),
                    **measured.record(),
                },
            )
            run.finish()
            shutil.rmtree(run.state / "statistics", ignore_errors=True)
    found: dict[str, Any] = read_json(Path(out) / "result" / "comparison.json")
    return found


def _runner(statistics: Path, keep_models: bool, workers: int) -> Callable[[_Cell], str]:
    """Return what does one cell after another in this process, with the dense model in memory."""
    share_cores(workers)
    opened: list[Dense] = []

    def work(cell: _Cell) -> str:
        if not opened:
            allowed = cell.settings["allow_pytorch_bin"]
            opened.append(Dense.open(cell.model, cell.settings["device"], allow_pytorch_bin=allowed))
        compress(
            opened[0],
            cell.recipe,
            seed=cell.seed,
            # processes at work on the same seed gather for themselves; they write the same files
            statistics=statistics,
            out=cell.folder,
            resume=True,
            **cell.settings,
        )
        if not keep_models:
            for model in (cell.folder / "result").glob("model*"):
                shutil.rmtree(model)
        return str(cell.folder)

    return work


def _curve(summary: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: point[name] for name in ("ratio", "parameters", "macs", "score")} for point in summary["points"]]


def _directions(summary: dict[str, Any]) -> dict[str, str]:
    found = summary["dense"].get("tasks", {})
    return {task: each["better"] for task, each in found.items() if each["better"]}


def _cell(summaries: dict[tuple[str, int], dict[str, Any]], name: str, seed: int) -> Cell:
    """Return the score at each ratio and their mean, of perplexities the geometric one, and what was lost of it."""
    summary = summaries[name, seed]
    score = summary["score"]["name"]
    points, dense = summary["points"], summary["dense"]["score"]
    values = np.array([point["score"] for point in points])
    geometric = score == "perplexity"
    mean = float(np.exp(np.log(values).mean())) if geometric else float(values.mean())
    metrics = {f"{score}/mean" if len(points) > 1 else score: mean}
    if geometric:
        metrics["log_perplexity_lost"] = float(np.log(values / dense).mean())
    if len(points) > 1:
        metrics.update({f"{score}/{point['ratio']:g}": point["score"] for point in points})
    metrics["parameters"] = float(np.mean([point["parameters"] for point in points]))
    metrics["macs"] = float(np.mean([point["macs"] for point in points]))
    for task in summary["dense"].get("tasks", {}):
        metrics[task] = float(np.mean([point["tasks"][task]["value"] for point in points]))
    for batch in points[0]["seconds_per_token"]:
        taken = [point["seconds_per_token"][batch] for point in points]
        metrics[f"speed_up_at_{batch}"] = float(np.mean([each["dense"] / each["pruned"] for each in taken]))
    return Cell(metrics, sum(summary["seconds"].values()), summary["peak_memory_bytes"])
