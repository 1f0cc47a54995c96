"""``harmonia compare decide``: several recipes on the same trajectories, seeds, goals and number of steps.

Every cell is a run of its own, so an interrupted comparison goes on inside its cells. Differences are paired: the same
seed draws the same episodes, held-out goals and starts for every recipe. Beside Student's interval over seeds, success
has the bootstrap interval over (seed, goal) pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harmonia.core.cells import finish_cells, share_cores
from harmonia.core.citation import entries
from harmonia.core.compare import Cell, check_table
from harmonia.core.compare import compare as table
from harmonia.core.errors import require
from harmonia.core.files import read_json, write_json
from harmonia.core.recipe import Recipe
from harmonia.core.run import Run
from harmonia.data.trajectories import Trajectories
from harmonia.decide.engine import decide, load_recipe, named_tasks, need_order
from harmonia.decide.lineup import Lineup
from harmonia.decide.recipe import DecideRecipe
from harmonia.decide.references import REFERENCES
from harmonia.maths.continual_metrics import forward_transfer
from harmonia.maths.success_intervals import bootstrap, interquartile_success, paired_difference

REFERENCE = "single"
"""The recipe whose learning curves are the reference of forward transfer."""


@dataclass(frozen=True)
class _Cell:
    """One recipe and seed of a comparison: picklable."""

    data: str
    recipe: DecideRecipe
    folder: Path
    seed: int
    settings: dict[str, Any]


class _Table(Recipe):
    """The record of a comparison in its run folder: the recipes lie in the request."""

    stage = "decide"


def compare(
    data: str | Path,
    recipes: Sequence[str | Path | DecideRecipe],
    *,
    tasks: str | Sequence[str] | None = None,
    stream: str | Sequence[str] | None = None,
    preset: str | None = None,
    settings: Iterable[str] = (),
    seeds: Iterable[int] = range(5),
    baseline: str | None = None,
    goals: int = 10,
    horizon: int | None = None,
    curve: int = 0,
    quality: Sequence[str] | None = None,
    unseen: str | Sequence[str] | None = None,
    out: str | Path,
    resume: bool = False,
    workers: int | None = 1,
) -> dict[str, Any]:
    """Compare recipes by the success of their policies on held-out goals; arguments as of ``harmonia.decide``.

    Args:
        data: folder of a trajectory data set.
        recipes: names, YAML files or records; the first is the baseline.
        tasks: tasks to learn together.
        stream: tasks to learn one after another; recipes that train jointly see them all at once, as a reference.
        preset: size of every run.
        settings: changes to every recipe.
        seeds: one run per recipe and seed.
        baseline: name of the recipe to compare with.
        goals: held-out goals per task.
        horizon: steps of an episode.
        curve: points of the learning curves of a stream, from which forward transfer against ``single`` is computed.
        quality: train on episodes with these labels only.
        unseen: tasks that are not learned, on which every policy is judged too.
        out: run folder.
        resume: go on with an interrupted comparison.
        workers: runs at a time, each with its share of the cores; None for one per core.

    Returns:
        The record of ``harmonia.core.compare.Comparison`` with the intervals over (seed, goal) pairs beside it.

    Raises:
        InputError: unusable data, recipes or settings.
    """
    require("torch", "decide")
    seeds, settings = list(seeds), list(settings)
    loaded = [load_recipe(recipe, preset, settings) for recipe in recipes]
    baseline = check_table([record.name for record in loaded], seeds, baseline)
    records = {record.name: record for record in loaded}
    trajectories = Trajectories.open(data)
    names = {}
    need_order(loaded, stream)
    strangers = () if unseen is None else named_tasks(trajectories, unseen, None)
    for name, record in records.items():
        found = named_tasks(trajectories, tasks, stream)
        names[name] = tuple(task for task in found if task not in strangers) if tasks is stream is None else found
        record.check(len(names[name]), unseen=bool(strangers))
    references = list(dict.fromkeys(key for record in loaded for key in record.references()))
    cited = entries(references, REFERENCES)
    shared = {
        "goals": goals,
        "horizon": horizon,
        "quality": None if quality is None else sorted(quality),
        "unseen": list(strangers) or None,
        # all recipes train and validate on the same episodes, whether they take prompts or not
        "hold_prompts": any(record.conditioning.prompting for record in loaded),
    }
    request = {
        "data": str(Path(data).absolute()),
        "fingerprint": trajectories.fingerprint(),
        "recipes": {name: record.to_yaml() for name, record in records.items()},
        "tasks": list(next(iter(names.values()))),
        "seeds": seeds,
        "baseline": baseline,
        **shared,
        "curve": curve,
        "references": references,
    }
    with Run.start(out, _Table(name="comparison"), request, resume=resume) as run:
        if not run.finished:
            held: dict[str, Any] = {key: shared[key] for key in ("quality", "hold_prompts")}
            for name, record in records.items():  # what one recipe cannot learn is told before another is trained
                Lineup.of(trajectories, names[name], record, seeds[0], unseen=strangers, **held)
            cells = {
                (name, seed): _Cell(
                    data=str(data),
                    recipe=record,
                    folder=run.folder / "runs" / f"{name}-{seed}",
                    seed=seed,
                    settings={
                        **shared,
                        "stream" if stream is not None else "tasks": list(names[name]),
                        "curve": curve if record.stream.sequential else 0,
                    },
                )
                for seed in seeds
                for name, record in records.items()
            }
            finish_cells(cells.values(), _runner, workers)
            summaries = {key: read_json(cell.folder / "result" / "summary.json") for key, cell in cells.items()}
            measured = table(partial(_cell, summaries), list(records), seeds, baseline=baseline, run=run)
            write_json(
                run.result / "comparison.json",
                {
                    "stage": "decide",
                    "judge": f"success on {goals} held-out goals per task"
                    if summaries[baseline, seeds[0]]["success"]
                    else "error on held-out episodes",
                    "better": BETTER,
                    "tasks": list(next(iter(names.values()))),
                    "in_sequence": stream is not None,
                    "pairs": _pairs(cells, list(records), seeds, baseline),
                    "matrices": _matrices(summaries, list(records), seeds),
                    "warnings": sorted({w for s in summaries.values() for w in s["warnings"]}),
                    "cite": cited,
                    **measured.record(),
                },
            )
            run.finish()
    return read_json(Path(out) / "result" / "comparison.json")


BETTER = {
    "success": "higher",
    "success_unknown": "higher",
    "success_unseen": "higher",
    "return": "higher",
    "validation_error": "lower",
    "forgetting": "lower",
    "backward_transfer": "higher",
    "zero_shot_transfer": "higher",
    "forward_transfer": "higher",
    "libero_forward_transfer": "higher",
}
"""Direction of each metric, by the word before the slash."""


def _runner(workers: int) -> Callable[[_Cell], str]:
    """Return what does one cell after another in this process, with its share of the cores."""
    from harmonia.decide.arena import Arenas

    share_cores(workers)
    arenas = Arenas()

    def work(cell: _Cell) -> str:
        decide(
            cell.data,
            cell.recipe,
            seed=cell.seed,
            out=cell.folder,
            resume=True,
            workers=1,
            arenas=arenas,
            **cell.settings,
        )
        return str(cell.folder)

    return work


def _cell(summaries: dict[tuple[str, int], dict[str, Any]], name: str, seed: int) -> Cell:
    summary = summaries[name, seed]
    metrics: dict[str, float] = {}
    if given := summary["success"].get("given"):
        metrics["success/mean"] = given["mean"]
        metrics |= {f"success/{task}": of["rate"] for task, of in given["tasks"].items()}
    # what a recipe cannot be asked has no value, and the table says so
    for mode in sorted({mode for s in summaries.values() for mode in s["success"]} - {"given"}):
        metrics[f"success_{mode}"] = summary["success"].get(mode, {"mean": float("nan")})["mean"]
    if summary["success"]:
        metrics["return/mean"] = float(np.mean([t["return"] for t in summary["success"]["given"]["tasks"].values()]))
    if any(s["validation"] for s in summaries.values()):
        metrics["validation_error"] = (
            float(np.mean(list(summary["validation"].values()))) if summary["validation"] else float("nan")
        )
    stream = summary["stream"]
    if any(s["stream"] for s in summaries.values()):
        for key in ("forgetting", "backward_transfer", "zero_shot_transfer"):
            value = stream[key] if stream else None
            metrics[key] = float("nan") if value is None else value
        if any(s["stream"] and s["stream"]["curves"] for s in summaries.values()):
            metrics["libero_forward_transfer"] = stream["libero_forward_transfer"] if stream else float("nan")
        reference = summaries.get((REFERENCE, seed))
        if reference and reference["stream"] and reference["stream"]["area_under_curve"]:
            of = stream["area_under_curve"] if stream else {}
            single = reference["stream"]["area_under_curve"]
            metrics["forward_transfer"] = (
                forward_transfer(np.array([of[t] for t in single]), np.array(list(single.values())))
                if of
                else float("nan")
            )
    metrics["parameters"] = float(sum(summary["parameters"].values()))
    return Cell(metrics, sum(summary["seconds"].values()), summary["peak_memory_bytes"])


def _pairs(
    cells: dict[tuple[str, int], _Cell], names: Sequence[str], seeds: Sequence[int], baseline: str
) -> dict[str, Any]:
    """Return success, and its difference to the baseline, with bootstrap intervals over (seed, goal) pairs."""
    import polars

    from harmonia.decide.output import final_outcomes

    outcomes: dict[str, np.ndarray] = {}
    for name in names:
        of_seed = []
        for seed in seeds:
            rows = final_outcomes(polars.read_parquet(cells[name, seed].folder / "result" / "outcomes.parquet"))
            if rows.is_empty():
                return {}
            rows = rows.sort("goal", "task")
            of_seed.append(rows["success"].to_numpy().astype(float).reshape(-1, rows["task"].n_unique()))
        outcomes[name] = np.concatenate(of_seed)  # (pairs, tasks)
    found = {}
    for name in names:
        mean, low, high = bootstrap(outcomes[name], 0)
        difference, d_low, d_high = paired_difference(outcomes[name], outcomes[baseline], 0)
        found[name] = {
            "mean": mean,
            "low": low,
            "high": high,
            "interquartile_mean": bootstrap(outcomes[name], 0, interquartile_success)[0],
            "difference": difference,
            "difference_low": d_low,
            "difference_high": d_high,
            "pairs": len(outcomes[name]),
        }
    return found


def _matrices(
    summaries: dict[tuple[str, int], dict[str, Any]], names: Sequence[str], seeds: Sequence[int]
) -> dict[str, Any]:
    """Return the success matrix of each stream recipe, averaged over seeds."""
    found = {}
    for name in names:
        streams = [summaries[name, seed]["stream"] for seed in seeds]
        if all(streams):
            found[name] = {
                "rows": streams[0]["rows"],
                "columns": streams[0]["columns"],
                "matrix": np.mean([s["matrix"] for s in streams], axis=0).tolist(),
            }
    return found
