"""What a stream of tasks did to each task: the success matrix, what was kept of it, and how it went on the whole.

Row i + 1 of a success matrix is measured after the i-th task was learned, row 0 before any was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harmonia.maths.continual_metrics import average_success, forgetting_curve
from harmonia.report import plots
from harmonia.report.heat import Heat, heat
from harmonia.report.numbers import percent, rounded
from harmonia.report.plots import Series, roles

if TYPE_CHECKING:
    from markupsafe import Markup


def matrix(stream: Mapping[str, Any]) -> Heat:
    """Return the success matrix in percent; the task just learned is emphasised."""
    return heat(
        stream["rows"],
        stream["columns"],
        stream["matrix"],
        span=(0.0, 1.0),
        words=rounded,
        between=" learned, success in % on ",
        strong=lambda i, j: i == j + 1,
        corner="after",
    )


def kept(stream: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return for each task its success when it was just learned and at the end, and the way between."""
    areas = stream.get("area_under_curve") or {}
    found = []
    for place, task in enumerate(stream["columns"]):
        column = [_number(row[place]) for row in stream["matrix"]]
        learned, end = column[place + 1], column[-1]
        way = ", ".join(rounded(x) for x in column)
        found.append(
            {
                "task": task,
                "before": column[place],
                "learned": learned,
                "end": end,
                "lost": learned - end,
                "area": areas.get(task),
                "spark": plots.spark(column, f"{task}: success in % after each task: {way}", place + 1),
            }
        )
    return found


def averages(streams: Mapping[str, Mapping[str, Any]]) -> Markup:
    """Return the mean success over all tasks after each task, one curve per stream."""
    return _curves(
        {name: average_success(stream["matrix"][1:]).tolist() for name, stream in streams.items()},
        y_label="mean success over all tasks",
        describe="Mean success over all tasks of the stream, after each task",
    )


def forgotten(streams: Mapping[str, Mapping[str, Any]]) -> Markup:
    """Return the forgetting after each task, one curve per stream."""
    return _curves(
        {name: forgetting_curve(stream["matrix"][1:]).tolist() for name, stream in streams.items()},
        y_label="forgetting",
        describe="Success lost on average since each task was learned, after each task",
    )


def learning(stream: Mapping[str, Any]) -> Markup | None:
    """Return success while each task is learned; None where it was not measured on the way."""
    curves = stream.get("curves")
    if not curves:
        return None
    steps = sorted({point["step"] for curve in curves.values() for point in curve})
    at = {task: {point["step"]: _number(point["success"]) for point in curve} for task, curve in curves.items()}
    return plots.lines(
        [Series(task, role, [at[task].get(step, math.nan) for step in steps]) for role, task in roles(list(curves))],
        steps,
        x_label="training step within the task",
        y_label="success",
        y_range=(0.0, 1.0),
        y_words=percent,
        describe="Success on each task while it is learned",
    )


def _curves(curves: Mapping[str, Sequence[float]], *, y_label: str, describe: str) -> Markup:
    longest = max((len(curve) for curve in curves.values()), default=0)
    low = min((y for curve in curves.values() for y in curve), default=0.0)
    return plots.lines(
        [Series(name, role, list(curves[name])) for role, name in roles(list(curves))],
        range(1, longest + 1),
        x_label="tasks learned",
        y_label=y_label,
        y_range=(min(0.0, low), 1.0),
        y_words=percent,
        whole_x=True,
        describe=describe,
    )


def _number(x: Any) -> float:
    return math.nan if x is None else float(x)
