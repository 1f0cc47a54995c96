"""``harmonia compare federate``: several recipes on the same clients, seeds and rounds.

Every cell is a run of its own, so an interrupted comparison goes on inside its cells. A seed deals the examples, draws
the first weights and chooses the clients of every round, the same for every recipe; differences are paired over seeds.

A recipe that diverges does not end the comparison: a client whose weights are not finite is left out of its round, and
a run in which no client is left has no values. The warnings of the record say where that happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from harmonia.core.cells import finish_cells, share_cores
from harmonia.core.citation import entries
from harmonia.core.compare import Cell, check_table
from harmonia.core.compare import compare as table
from harmonia.core.errors import RunError, require
from harmonia.core.files import read_json, write_json
from harmonia.core.recipe import Recipe
from harmonia.core.run import Run
from harmonia.data.labelled import Labelled
from harmonia.federate.curve import curve
from harmonia.federate.engine import examples_of, federate, network_for
from harmonia.federate.recipe import FederateRecipe
from harmonia.federate.recipes import BOOK
from harmonia.federate.references import REFERENCES

BETTER = {
    "accuracy": "higher",
    "balanced_accuracy": "higher",
    "class_spread": "lower",
    "personal_accuracy": "higher",
    "sharpness": "lower",
    "drift": "lower",
}
"""Direction of each metric, by the word before the slash."""


FAILED = "failed.json"
"""Beside a cell's run: why it has no values."""


@dataclass(frozen=True)
class _Cell:
    """One recipe and seed of a comparison: picklable."""

    data: str | Labelled
    recipe: FederateRecipe
    folder: Path
    seed: int
    settings: dict[str, Any]


class _Table(Recipe):
    """The record of a comparison in its run folder: the recipes lie in the request."""

    stage: ClassVar[str] = "federate"


def compare(
    data: str | Path | Labelled,
    recipes: Sequence[str | Path | FederateRecipe],
    *,
    clients: int | None = None,
    partition: str = "dirichlet:0.5",
    rounds: int = 50,
    active: float = 1.0,
    model: str | None = None,
    settings: Iterable[str] = (),
    label: str | None = None,
    size: int | None = None,
    seeds: Iterable[int] = range(5),
    baseline: str | None = None,
    every: int = 1,
    personal: bool = True,
    out: str | Path,
    resume: bool = False,
    workers: int | None = 1,
) -> dict[str, Any]:
    """Compare recipes by the model of the last round; arguments as of ``harmonia.federate``.

    Args:
        data: labelled examples.
        recipes: names, YAML files or records; the first is the baseline.
        clients: how many there are; 10 when left out, or as many as a partition by column finds.
        partition: how examples are dealt to them.
        rounds: R.
        active: share of the clients that take part in a round.
        model: the network.
        settings: changes to every recipe.
        label: column of the labels.
        size: the sides that images are brought to.
        seeds: one run per recipe and seed.
        baseline: name of the recipe to compare with.
        every: judge after each so many rounds.
        personal: judge every client's own model too.
        out: run folder.
        resume: go on with an interrupted comparison.
        workers: runs at a time, each with its share of the cores; None for one per core.

    Returns:
        The record of ``harmonia.core.compare.Comparison`` with the curves of every run beside it.

    Raises:
        InputError: unusable data, recipes or settings.
    """
    require("torch", "federate")
    seeds, settings = list(seeds), list(settings)
    loaded = [BOOK.load(recipe).with_settings(settings) for recipe in recipes]
    baseline = check_table([record.name for record in loaded], seeds, baseline)
    records = {record.name: record for record in loaded}
    examples = examples_of(data, label, size)
    network = network_for(examples, model)
    references = list(dict.fromkeys(key for record in loaded for key in record.references()))
    shared = {
        "clients": clients,
        "partition": partition,
        "rounds": rounds,
        "active": active,
        "model": model,
        "label": label,
        "size": size,
        "every": every,
        "personal": personal,
    }
    request = {
        "data": examples.name,
        "fingerprint": examples.fingerprint(),
        "recipes": {name: record.to_yaml() for name, record in records.items()},
        "seeds": seeds,
        "baseline": baseline,
        **shared,
        "references": references,
    }
    with Run.start(out, _Table(name="comparison"), request, resume=resume) as run:
        if not run.finished:
            cells = {
                (name, seed): _Cell(
                    data if isinstance(data, Labelled) else str(data),
                    record,
                    run.folder / "runs" / f"{name}-{seed}",
                    seed,
                    shared,
                )
                for seed in seeds
                for name, record in records.items()
            }
            finish_cells(cells.values(), _runner, workers)
            paths = {key: cell.folder / "result" / "summary.json" for key, cell in cells.items()}
            summaries = {key: read_json(path) for key, path in paths.items() if path.exists()}
            warnings = {f"{n}, seed {s}: {line}" for (n, s), found in summaries.items() for line in found["warnings"]}
            for (name, seed), cell in cells.items():
                if (name, seed) not in summaries:
                    warnings.add(f"{name}, seed {seed} has no values: {read_json(cell.folder / FAILED)['why']}")
            if not summaries:
                raise RunError(f"every run ended early; {min(warnings)}")
            some = next(iter(summaries.values()))
            measured = table(partial(_cell, summaries), list(records), seeds, baseline=baseline, run=run)
            write_json(
                run.result / "comparison.json",
                {
                    "stage": "federate",
                    "judge": "accuracy of the model of the last round on the test examples of all",
                    "better": BETTER,
                    "network": network.model_dump(mode="json"),
                    "classes": list(examples.classes),
                    "population": some["population"],
                    "curves": {
                        n: [curve(summaries[n, seed]["history"]) for seed in seeds if (n, seed) in summaries]
                        for n in records
                    },
                    "messages": {
                        n: next((found["messages"] for (name, _), found in summaries.items() if name == n), [])
                        for n in records
                    },
                    "warnings": sorted(warnings),
                    "cite": entries(references, REFERENCES),
                    **measured.record(),
                },
            )
            run.finish()
    return read_json(Path(out) / "result" / "comparison.json")


def _runner(workers: int) -> Callable[[_Cell], str]:
    """Return what does one cell after another in this process, with its share of the cores."""
    share_cores(workers)

    def work(cell: _Cell) -> str:
        try:
            federate(
                cell.data,
                cell.recipe,
                seed=cell.seed,
                on_failure="drop",
                out=cell.folder,
                resume=True,
                **cell.settings,
            )
        except RunError as error:
            write_json(cell.folder / FAILED, {"why": str(error)})
        return str(cell.folder)

    return work


def _cell(summaries: dict[tuple[str, int], dict[str, Any]], name: str, seed: int) -> Cell:
    if (name, seed) not in summaries:
        others = _cell(summaries, *next(iter(summaries)))
        return Cell(dict.fromkeys(others.metrics, float("nan")), float("nan"), 0)
    summary = summaries[name, seed]
    metrics: dict[str, float] = {}
    final, last3, personal = summary["final"], summary["last3"], summary["personal"]
    nothing = float("nan")
    # what a recipe has none of, as a head per client leaves no global model, has no value, and the table says so
    metrics["accuracy/last"] = final["accuracy"] if final else nothing
    metrics["accuracy/last3"] = last3["accuracy"] if last3 else nothing
    metrics["balanced_accuracy"] = final["balanced_accuracy"] if final else nothing
    metrics["class_spread"] = float(np.nanstd(final["per_class"])) if final else nothing
    if any(s["personal"] for s in summaries.values()):
        metrics["personal_accuracy/mean"] = personal["mean"] if personal else nothing
        metrics["personal_accuracy/weighted"] = personal["weighted"] if personal else nothing
    metrics["sharpness"] = final["sharpness"] if final else nothing
    metrics["drift"] = summary["history"][-1]["drift"]
    metrics["averages"] = float(summary["averages"])
    metrics["megabytes"] = (summary["bytes"]["down"] + summary["bytes"]["up"]) / 1e6
    metrics["client_seconds"] = summary["client_seconds"]
    return Cell(metrics, sum(summary["seconds"].values()), summary["peak_memory_bytes"])
