"""One policy for MT10: every way of sharing and of combining gradients, on mixed data, judged on held-out goals.

Data: Meta-World v3, 60 episodes of the scripted policy with a little noise and 60 with much, 150 steps each, goals 0 to
39 of a task; judged on goals 40 to 49, at the last step of training. Sanity: an expert of its own solves at least 80 %
on 7 of 10 tasks; random actions solve at most 10 %.

    python -m benchmarks.decide.multi_task --data MT10 --run runs/mixed --seeds 5 --out results
    python -m benchmarks.decide.multi_task --data MT10 --run runs/expert --quality expert --seeds 5 --out results
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Record, options
from harmonia.core.seeds import generator
from harmonia.decide.comparison import compare
from harmonia.worlds.gather import gather
from harmonia.worlds.pool import Place, RolloutPool
from harmonia.worlds.registry import parse

RECIPES = "prompt-dt,dt,mtdt,mt-bc,pcgrad,cagrad,famo,harmodt-r,harmodt,harmodt-m,g-harmodt,expert"


def random_policy(spec: str, horizon: int, goals: int = 10) -> float:
    """Return the success of uniformly random actions on the held-out goals."""
    world, tasks = parse(spec)
    held_out = range(world.training_goals, world.training_goals + goals)
    places = [Place(task, goal, 0) for task in tasks for goal in held_out]
    random = generator(0, "random policy")
    with RolloutPool(world, places, horizon, 2) as pool:
        pool.reset()
        solved = np.zeros(len(places), bool)
        for _ in range(horizon):
            _, _, now, _ = pool.step(random.uniform(-1, 1, (len(places), world.action_size)).astype(np.float32))
            solved |= now
    return float(solved.mean())


def rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row per recipe: success with both intervals, error on held-out episodes, cost."""
    table = []
    for name, metrics in found["recipes"].items():
        pairs, success, error = found["pairs"][name], metrics["success/mean"], metrics["validation_error"]
        row: dict[str, Any] = {
            "recipe": name,
            "success": f"{pairs['mean']:.3f} [{pairs['low']:.3f}, {pairs['high']:.3f}]",
            "Δ, pairs": f"{pairs['difference']:+.3f} [{pairs['difference_low']:+.3f}, {pairs['difference_high']:+.3f}]",
            "Δ, seeds": "",
            "error": f"{error['mean']:.4f}",
            "Δ error, seeds": "",
            "parameters": int(metrics["parameters"]["mean"]),
            "seconds": round(found["seconds"][name], 1),
        }
        if name == found["baseline"]:
            row["Δ, pairs"] = ""
        elif success["low"] is not None:
            row["Δ, seeds"] = f"{success['difference']:+.3f} [{success['low']:+.3f}, {success['high']:+.3f}]"
            row["Δ error, seeds"] = f"{error['difference']:+.4f} [{error['low']:+.4f}, {error['high']:+.4f}]"
        table.append(row)
    return table


def main() -> None:
    """Measure."""
    parser = options(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the trajectories; gathered when missing")
    parser.add_argument("--run", type=Path, required=True, help="folder of the comparison; it resumes")
    parser.add_argument("--tasks", default="mt10")
    parser.add_argument("--episodes", type=int, default=60)
    parser.add_argument("--recipes", default=RECIPES)
    parser.add_argument("--quality", help="train on episodes with these labels only, e.g. expert")
    parser.add_argument("--preset", default="smoke")
    parser.add_argument("--steps", type=int, help="training steps; those of the preset when left out")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    if not given.data.exists():
        gather(f"metaworld:{given.tasks}", given.data, episodes=given.episodes, workers=given.workers)
    found = compare(
        given.data,
        given.recipes.split(","),
        tasks=given.tasks,
        preset=given.preset,
        settings=[f"training.steps={given.steps}"] if given.steps else (),
        seeds=range(given.seeds),
        quality=given.quality.split(",") if given.quality else None,
        out=given.run,
        resume=True,
        workers=given.workers,
    )
    record = Record(
        "decide_multi_task",
        f"{given.tasks}, {given.quality or 'mixed'} data, preset {given.preset}: success on held-out goals, against "
        f"{found['baseline']}",
        {"tasks": found["tasks"], "seeds": found["seeds"], "preset": given.preset, "steps": given.steps},
    )
    for row in rows(found):
        record.add(**row)
    record.facts["success per task"] = {
        name: {m.partition("/")[2]: round(s["mean"], 3) for m, s in metrics.items() if m.startswith("success/")}
        for name, metrics in found["recipes"].items()
    }
    expert = record.facts["success per task"].get("expert", {})
    record.facts["tasks on which the expert solves 80 %"] = sum(v >= 0.8 for k, v in expert.items() if k != "mean")
    record.facts["random actions"] = random_policy(f"metaworld:{given.tasks}", 150)
    record.facts["pairs"] = found["pairs"]
    record.save(given.out)


if __name__ == "__main__":
    main()
