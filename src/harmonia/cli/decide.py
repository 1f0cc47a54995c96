"""``harmonia decide``: one policy for many tasks, from logged trajectories; and ``harmonia decide play``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from harmonia.cli.common import Speech, Work, recipe_name, words

if TYPE_CHECKING:
    from rich.console import Group

app = App(name="decide", help="Train one policy for many tasks, from logged trajectories.")


@app.default
def decide(
    data: Path,
    *,
    recipe: str = "harmodt",
    tasks: str | None = None,
    stream: str | None = None,
    preset: str | None = None,
    goals: int = 10,
    horizon: int | None = None,
    curve: int = 0,
    videos: int = 0,
    quality: str | None = None,
    unseen: str | None = None,
    device: str = "auto",
    work: Annotated[Work | None, Parameter(name="*")] = None,
) -> None:
    """Train one policy for many tasks, all at once or one after another, and judge it on held-out goals.

    Writes RUN/result/policy (config.json, model.safetensors), outcomes.parquet (every episode played) and
    summary.json. In Python, harmonia.decide.load("RUN").act(observation) acts.

    Parameters
    ----------
    data
        Folder of a trajectory data set: see `harmonia trajectories gather` and `harmonia trajectories import`.
    recipe
        A recipe's name (`harmonia recipes decide`) or a YAML file.
    tasks
        Tasks to learn together: names, or a named set such as mt10; all when left out.
    stream
        Tasks to learn one after another: names, or a named stream such as ocw10.
    preset
        smoke (minutes on two cores), small (an hour) or paper; a named recipe is smoke by default.
    goals
        Held-out goals per task on which the policy is judged.
    horizon
        Steps of an episode; by default that of the data.
    curve
        In a stream: how often the task being learned is judged on the way.
    videos
        How many tasks to film, one episode each.
    quality
        Train on episodes with these labels only, as a list: expert,noisy; on all when left out.
    unseen
        Tasks of the data that are not learned, on which the policy is judged too; for policies that need no task:
        dt, prompt-dt and text-dt with --set training.normalise=pooled, and g-harmodt.
    device
        auto, cpu or cuda.
    """
    work = work or Work()
    work.begin()
    from harmonia.decide.engine import decide as run

    result = run(
        data,
        recipe,
        tasks=tasks,
        stream=stream,
        preset=preset,
        settings=work.set or (),
        seed=work.seed,
        out=work.folder(f"decide-{recipe_name(recipe)}"),
        resume=work.resume,
        goals=goals,
        horizon=horizon,
        curve=curve,
        workers=work.workers,
        videos=videos,
        quality=None if quality is None else words(quality),
        unseen=unseen,
        device=device,
    )
    summary = result.summary
    record: dict[str, Any] = {
        "run": str(result.folder),
        "policy": str(result.folder / "result" / "policy"),
        **{key: summary[key] for key in ("recipe", "success", "stream", "validation", "parameters", "seconds")},
        "peak_memory_bytes": summary["peak_memory_bytes"],
    }
    if work.report:
        record["report"] = str(result.report())

    def shown() -> Group:
        from rich.console import Group

        from harmonia.report.terminal import policy

        return Group(policy(summary), *(f"{name}: {record[name]}" for name in ("policy", "report") if name in record))

    work.say(record, shown)


@app.command
def play(
    run: Path,
    *,
    task: str | None = None,
    video: Path = Path("play.gif"),
    goal: int | None = None,
    seed: int = 0,
    horizon: int | None = None,
    speech: Annotated[Speech | None, Parameter(name="*")] = None,
) -> None:
    """Play one held-out episode with a trained policy and film it.

    Parameters
    ----------
    run
        Folder of a finished run, or of a policy.
    task
        Which of its tasks; may be left out when it has one.
    video
        File to write: .gif or .mp4.
    goal
        Numbered goal; the first that no training episode was gathered towards when left out.
    seed
        Of the environment's own randomness.
    horizon
        Steps; by default those of the training episodes.
    """
    speech = speech or Speech()
    speech.begin()
    from harmonia.decide.play import play as film
    from harmonia.decide.policy import load

    found = film(load(run), task, video, goal=goal, seed=seed, horizon=horizon)
    words = "solved" if found["success"] else "not solved"
    speech.say(found, lambda: f"{found['video']}: goal {found['goal']}, {words}, return {found['return']:.1f}")
