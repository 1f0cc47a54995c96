"""What a run writes: the policy, every episode played as one tidy table, the summary, videos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harmonia.core.citation import entries
from harmonia.core.files import atomic, read_json, write_json
from harmonia.core.measure import peak_memory_bytes
from harmonia.decide.references import REFERENCES
from harmonia.decide.training import marks
from harmonia.maths.continual_metrics import (
    area_under_curve,
    average_success,
    backward_transfer,
    forgetting,
    forgetting_curve,
    libero_forward_transfer,
    zero_shot_transfer,
)
from harmonia.maths.success_intervals import bootstrap, wilson

if TYPE_CHECKING:
    import polars

    from harmonia.decide.work import Work

VALIDATION = 256
"""Validation windows per task."""


def write(work: Work, *, videos: int) -> None:
    """Write everything that the user came for."""
    run = work.run
    with run.phase("judging"):
        if not work.recipe.sharing.needs_task:
            work.judge_unknown()
        if len(work.lineup.labels) > work.lineup.learned:
            work.judge_unseen()
    work.policy.save(run.result / "policy")
    films = film(work, videos)
    outcomes = table(work.outcomes)
    with atomic(run.result / "outcomes.parquet") as temporary:
        outcomes.write_parquet(temporary)
    summary = {
        "stage": "decide",
        "recipe": work.recipe.name,
        "axes": {axis: part.kind_name() for axis, part in work.recipe.choices().items()},
        "in_sequence": work.sequential,
        "seed": work.seed,
        "data": run.request["data"],
        "world": work.lineup.world,
        "tasks": work.lineup.summary(),
        "goals": list(work.arena.goals) if work.arena else [],
        "horizon": work.arena.horizon if work.arena else None,
        "success": success_of(work),
        "stream": stream_of(work) if work.sequential and work.arena else None,
        "validation": validation_of(work),
        "parameters": {
            label: work.policy.learner.parameters_of(place) for place, label in enumerate(work.lineup.names)
        },
        "conflict": conflict_of(work),
        "sharing": work.policy.learner.picture(),
        "losses": losses_of(work),
        "videos": films,
        "seconds": {name: round(value, 3) for name, value in run.seconds.items()},
        "peak_memory_bytes": peak_memory_bytes(),
        "warnings": run.warnings,
        "cite": entries(work.recipe.references(), REFERENCES),
    }
    write_json(run.result / "summary.json", summary)


def table(rows: list[dict[str, Any]]) -> polars.DataFrame:
    """Return outcomes as one tidy table."""
    import polars

    kinds = {
        "after": polars.String,
        "step": polars.Int64,
        "task": polars.String,
        "mode": polars.String,
        "goal": polars.Int64,
        "success": polars.Boolean,
        "return": polars.Float64,
        "steps": polars.Int64,
    }
    return polars.DataFrame(rows, schema=kinds)


def final_outcomes(outcomes: polars.DataFrame, mode: str = "given") -> polars.DataFrame:
    """Return the episodes of the finished policy: those played after the last task."""
    import polars

    judged = outcomes.filter(polars.col("step").is_null(), polars.col("mode") == mode)
    return judged.filter(polars.col("after") == judged["after"].last()) if len(judged) else judged


def success_of(work: Work) -> dict[str, Any]:
    """Return success per task with Wilson's interval and its mean with the bootstrap's over goals, by mode."""
    found: dict[str, Any] = {}
    outcomes = table(work.outcomes)
    for mode in outcomes["mode"].unique(maintain_order=True):
        rows, tasks = final_outcomes(outcomes, mode).to_dicts(), {}
        for label in dict.fromkeys(row["task"] for row in rows):
            mine = [row for row in rows if row["task"] == label]
            solved = sum(row["success"] for row in mine)
            _, low, high = wilson(solved, len(mine))
            tasks[label] = {
                "episodes": len(mine),
                "successes": solved,
                "rate": solved / len(mine),
                "low": low,
                "high": high,
                "return": float(np.mean([row["return"] for row in mine])),
            }
        solved = final_outcomes(outcomes, mode).sort("goal", "task")["success"].to_numpy().astype(float)
        mean, low, high = bootstrap(solved.reshape(-1, len(tasks)), work.seed)
        found[mode] = {"tasks": tasks, "mean": mean, "low": low, "high": high}
    return found


def stream_of(work: Work) -> dict[str, Any]:
    """Return the success matrix of a stream and what is computed from it."""
    labels = list(work.lineup.names)
    matrix = np.array(
        [
            [
                np.mean(
                    [r["success"] for r in work.outcomes if r["after"] == a and r["task"] == t and r["step"] is None]
                )
                for t in labels
            ]
            for a in ["untrained", *labels]
        ]
    )
    before, after = matrix[0], matrix[1:]
    curves = None
    if work.curve:
        curves = {label: _curve(work, label, before[place], after[place, place]) for place, label in enumerate(labels)}
    several = len(labels) > 1
    return {
        "rows": ["untrained", *labels],
        "columns": labels,
        "matrix": matrix.tolist(),
        "average": average_success(after).tolist(),
        "forgetting": forgetting(after),
        "forgetting_curve": forgetting_curve(after).tolist(),
        "backward_transfer": backward_transfer(after) if several else None,
        "zero_shot_transfer": zero_shot_transfer(after, before) if several else None,
        "curves": curves,
        "area_under_curve": {
            label: float(
                area_under_curve(np.array([p["success"] for p in curve]), np.array([p["step"] for p in curve]))
            )
            for label, curve in curves.items()
        }
        if curves
        else None,
        "libero_forward_transfer": libero_forward_transfer(
            np.array([[point["success"] for point in curve] for curve in curves.values()])
        )
        if curves
        else None,
    }


def _curve(work: Work, label: str, before: float, after: float) -> list[dict[str, float]]:
    """Return success while a task is learned; a task that was served by an earlier policy has it from the start."""
    found: dict[int, list[bool]] = {}
    for row in work.outcomes:
        if row["after"] == label and row["step"] is not None:
            found.setdefault(row["step"], []).append(row["success"])
    # what was not judged was not trained any more: an earlier policy had been found to serve the task
    steps = marks(work.recipe.training.steps, work.curve)
    return [
        {"step": 0, "success": before if found else after},
        *({"step": step, "success": float(np.mean(found.get(step, after)))} for step in steps),
    ]


def validation_of(work: Work) -> dict[str, float] | None:
    """Return the mean squared error of the policy's actions on held-out windows, per task."""
    from harmonia.decide.learner import squared_error

    if work.lineup.validation is None:
        return None
    learner = work.policy.learner
    found = {}
    for place, label in enumerate(work.lineup.names):
        windows = work.around.draw((place,), VALIDATION, "validation", 0)
        found[label] = float(squared_error(learner.act((place,), windows), windows)[0])
    return found


def conflict_of(work: Work) -> dict[str, Any] | None:
    """Return how the gradients of tasks that were learned together meet at the final weights."""
    from harmonia.decide.conflict import conflict, task_gradients

    common = work.policy.learner.common
    if work.sequential or work.lineup.learned < 2 or common.start == common.stop:
        return None
    gradients = task_gradients(work.policy.learner, work.places, work.around)
    return conflict(gradients, work.lineup.names)


def losses_of(work: Work) -> list[dict[str, Any]]:
    """Return the training loss along the steps: per phase and task, mean over the tasks of a joint phase."""
    labels = work.lineup.names
    return [
        {
            "phase": point["phase"],
            "step": point["step"],
            "task": labels[point["tasks"][0]] if len(point["tasks"]) == 1 else "all",
            "loss": float(np.mean(point["losses"])),
        }
        for point in work.losses
    ]


def film(work: Work, count: int) -> list[dict[str, Any]]:
    """Film one held-out episode of each of the first tasks; what cannot be rendered is said and left out."""
    from harmonia.core.errors import HarmoniaError
    from harmonia.decide.play import play

    if not count or work.arena is None:
        return []
    films: list[dict[str, Any]] = []
    for place in list(work.places)[:count]:
        label = work.lineup.labels[place]
        path = work.run.result / "videos" / f"{label.replace('@', '-')}.gif"
        record = path.with_suffix(".json")
        try:
            if not record.exists():
                outcome = play(
                    work.policy, label, path, goal=work.arena.goals[0], seed=work.seed, horizon=work.arena.horizon
                )
                write_json(record, {"task": label, "file": path.name, **outcome})
        except HarmoniaError as error:
            work.run.warn(f"no video: {error}")
            return films
        films.append(read_json(record))
    return films
