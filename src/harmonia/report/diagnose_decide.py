"""The page of a diagnosis of trajectories: how tasks disagree, and what that suggests, with the figures behind it."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

from harmonia.report.heat import cosines, heat
from harmonia.report.numbers import brief, cosine, count, percent
from harmonia.report.page import render


def page(record: dict[str, Any]) -> str:
    """Return the page of a diagnosis.

    Args:
        record: what ``harmonia.decide.diagnosis.diagnose`` returns.
    """
    conflict, groups = record["conflict"], record["groups"]
    order = _order(conflict["tasks"], groups)
    names = [conflict["tasks"][i] for i in order]
    return render(
        "diagnose_decide.html",
        "Diagnosis of tasks",
        record=record,
        tasks=[_task(task) for task in record["tasks"]],
        episodes=sum(task["episodes"] for task in record["tasks"]),
        steps=sum(task["steps"] for task in record["tasks"]),
        conflict=conflict,
        mean_cosine=cosine(conflict["mean_cosine"]),
        cosines=cosines(names, _taken(conflict["cosine"], order)),
        groups=groups,
        returns=heat(
            names,
            names,
            _taken(record["return_overlap"], order),
            span=(0.0, 1.0),
            words=brief,
            plain=operator.eq,
        ),
        warnings=[*record["warnings"], *_doubts(record["tasks"])],
    )


def _order(tasks: Sequence[str], groups: Mapping[str, Any] | None) -> list[int]:
    """Return the places of the tasks, those of a group side by side."""
    if not groups:
        return list(range(len(tasks)))
    return [tasks.index(task) for group in groups["groups"] for task in group]


def _taken(matrix: Sequence[Sequence[float | None]], order: Sequence[int]) -> list[list[float | None]]:
    return [[matrix[i][j] for j in order] for i in order]


def _task(task: Mapping[str, Any]) -> dict[str, Any]:
    low, high = task["lengths"]["min"], task["lengths"]["max"]
    best = task["qualities"][0]["return"]
    return {
        **task,
        "length": count(low) if low == high else f"{count(low)} to {count(high)}",
        "made_by": ", ".join(f"{q['quality'] or 'unknown'} {count(q['episodes'])}" for q in task["qualities"]),
        "best": f"{brief(best['mean'])} ± {brief(best['std'])}",
        "solved": percent(task["success"]),
        "constant": len(task["observations"]["constant_columns"]),
    }


def _doubts(tasks: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"task {task['name']}: {line}" for task in tasks for line in task["warnings"]]
