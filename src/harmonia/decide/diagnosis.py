"""``harmonia diagnose`` on trajectories: how tasks disagree, before compute is spent on a long training.

A gradient at random weights says nothing, so a small network that is told nothing of the task is trained briefly on all
of them; then the tasks' gradients are compared where they still pull it apart.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harmonia.core.errors import InputError, require
from harmonia.core.files import read_json, write_json
from harmonia.core.run import Run
from harmonia.data.trajectories import Trajectories, sheet
from harmonia.decide.advice import advice
from harmonia.decide.engine import load_recipe, named_tasks
from harmonia.decide.lineup import Lineup
from harmonia.decide.work import Work

if TYPE_CHECKING:
    from torch import Tensor

BINS = 20
"""Bins of the histograms whose common area is the overlap of two tasks' returns."""


def diagnose(
    data: str | Path | Sequence[str | Path] | Trajectories,
    *,
    tasks: str | Sequence[str] | None = None,
    recipe: str = "dt",
    preset: str = "smoke",
    settings: Iterable[str] = (),
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Measure how the tasks of a trajectory data set disagree.

    Args:
        data: folder of a data set.
        tasks: names, or a named set; all when left out.
        recipe: what is trained briefly (a third of the preset's steps) before gradients are compared.
        preset: its size.
        settings: changes to it.
        seed: fixes every random choice.
        out: run folder; a fresh temporary folder when left out.
        resume: go on with an interrupted run.

    Returns:
        The record: sheets of the tasks, gradient conflict, overlap of returns, groups, advice.

    Raises:
        InputError: unusable data, several data sets, or fewer than two tasks.
    """
    places: Sequence[Any] = data if isinstance(data, list | tuple) else [data]
    if len(places) != 1:
        raise InputError("name one trajectory data set; harmonia trajectories import joins several")
    require("torch", "decide")
    record = load_recipe(recipe, preset, ())
    shorter = record.training.model_copy(update={"steps": max(1, record.training.steps // 3)})
    record = record.model_copy(update={"training": shorter}).with_settings(settings)
    trajectories = places[0] if isinstance(places[0], Trajectories) else Trajectories.open(places[0])
    names = named_tasks(trajectories, tasks, None)
    if len(names) < 2:
        raise InputError(f"{trajectories.folder}: a diagnosis compares tasks, and there is only {names[0]}")
    record.check(len(names))
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="harmonia-diagnose-"))
    request = {
        "data": str(Path(trajectories.folder).absolute()),
        "fingerprint": trajectories.fingerprint(),
        "tasks": list(names),
        "seed": seed,
        "diagnosis": True,
    }
    with Run.start(folder, record, request, resume=resume) as run:
        if not run.finished:
            lineup = Lineup.of(trajectories, names, record, seed)
            for message in lineup.doubts(record):
                run.warn(message)
            work = Work(run, record, lineup, None, seed, 0, "cpu")
            work.train()
            write_json(run.result / "diagnosis.json", _measure(work, names))
            run.finish()
    found: dict[str, Any] = read_json(folder / "result" / "diagnosis.json")
    return found


def _measure(work: Work, names: Sequence[str]) -> dict[str, Any]:
    from harmonia.decide.conflict import conflict, task_gradients

    gradients = task_gradients(work.policy.learner, range(len(names)), work.around)
    record: dict[str, Any] = {
        "stage": "decide",
        "kind": "trajectories",
        "data": work.run.request["data"],
        "seed": work.seed,
        "tasks": [sheet(work.lineup.data, name) for name in names],
        "steps_before": work.recipe.training.steps,
        "conflict": conflict(gradients, names),
        "groups": _groups(gradients, names),
        "return_overlap": return_overlap([work.lineup.data.returns[s.train] for s in work.lineup.splits]),
        "warnings": work.run.warnings,
    }
    record["advice"] = advice(record)
    return record


def _groups(gradients: Tensor, names: Sequence[str]) -> dict[str, Any] | None:
    """Return tasks grouped by how their gradients meet the mean, at the number of groups that separates them best."""
    from harmonia.maths.gram_kmeans import conflict_gram, gram_kmeans, silhouettes

    if len(names) < 4:
        return None
    gram = conflict_gram(gradients, names)
    found = silhouettes(gram, range(2, len(names) // 2 + 1), names=names)
    count = max(found, key=lambda c: (found[c], -c))
    labels = gram_kmeans(gram, count, names=names).labels
    return {
        "silhouette": found[count],
        "silhouettes": {str(c): value for c, value in found.items()},
        "groups": [
            [name for name, label in zip(names, labels, strict=True) if label == group] for group in range(count)
        ],
    }


def return_overlap(returns: Sequence[np.ndarray]) -> list[list[float]]:
    """Return the common area of every pair of tasks' return histograms, in [0, 1]; symmetric, 1 on the diagonal.

    Where it is small, the return that is asked for tells the policy which task it is in.
    """
    everything = np.concatenate(returns)
    edges = np.linspace(everything.min(), everything.max(), BINS + 1)
    if (np.diff(edges) <= 0).any():  # no room for bins between numbers that are as good as equal
        edges = np.linspace(everything.mean() - 0.5, everything.mean() + 0.5, BINS + 1)
    shares = np.stack([np.histogram(each, edges)[0] / len(each) for each in returns])
    return np.minimum(shares[:, None], shares[None, :]).sum(axis=2).round(4).tolist()
