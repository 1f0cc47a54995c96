"""The stage ``decide`` as the command line and the common battery know it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harmonia.core.recipe import Recipe
from harmonia.core.stage import Stage
from harmonia.data.trajectories import Episode, Trajectories, TrajectoryWriter
from harmonia.decide.comparison import compare
from harmonia.decide.diagnosis import diagnose
from harmonia.decide.presets import preset, with_fields
from harmonia.decide.recipe import DecideRecipe
from harmonia.decide.recipes import BOOK
from harmonia.decide.references import REFERENCES
from harmonia.decide.sharing import TaskMasks
from harmonia.decide.stream import EWC, L2, MAS, LwF


class DecideTrial:
    """Runs policies for the battery, in seconds; the data are the folder of a trajectory data set."""

    identity = "actions"
    steps = 16

    def tiny(self, recipe: DecideRecipe) -> DecideRecipe:
        """Return a recipe at a size that trains in a second."""
        small = preset(recipe, "smoke")
        backbone = {"width": 8, "layers": 1, "heads": 1, "context": 3, "dropout": 0.1}
        return small.model_copy(
            update={
                "backbone": with_fields(small.backbone, backbone),
                "sharing": with_fields(small.sharing, {"attention_steps": 4}),
                "training": with_fields(small.training, {"steps": self.steps, "batch": 4}),
            }
        )

    def run(self, recipe: Recipe, data: Any, *, seed: int, out: Path, resume: bool = False) -> dict[str, np.ndarray]:
        from harmonia.decide.engine import decide

        assert isinstance(recipe, DecideRecipe)
        order = sorted(task.name for task in Trajectories.open(data).tasks)
        stream, tasks = (order, None) if recipe.stream.sequential else (None, order)
        small = self.tiny(recipe)
        result = decide(data, small, tasks=tasks, stream=stream, seed=seed, out=out, resume=resume, goals=2)
        outcomes = result.outcomes
        numbers = {name: outcomes[name].to_numpy() for name in ("goal", "success", "return", "steps")}
        return {**numbers, "actions": self._actions(result.policy)}

    def _actions(self, policy: Any) -> np.ndarray:
        """Return what the policy does in each task on made-up observations."""
        random = np.random.default_rng(0)
        shown = random.normal(size=(4, policy.frame.observation_size)).astype(np.float32)
        done = []
        for label in policy.frame.labels:
            policy.reset(label)
            done += [policy.act(observation, 0.1) for observation in shown]
        return np.concatenate(done)

    def reordered(self, data: Any, folder: Path) -> Path:
        """Return a copy of the data set whose tasks and episodes come in another order."""
        source = Trajectories.open(data)
        random = np.random.default_rng(0)
        with TrajectoryWriter(folder, source.observation_size, source.action_size) as writer:
            for row in random.permutation(len(source.episodes)):
                episode = source.episode(int(row))
                writer.add(source.task(source.episodes["task"][int(row)]), episode)
        return folder

    def limits(self, recipe: Recipe) -> Iterator[tuple[str, Recipe, Recipe]]:
        assert isinstance(recipe, DecideRecipe)
        if isinstance(recipe.sharing, TaskMasks):
            alone = recipe.with_settings(["sharing=all"]).model_copy(update={"name": "prompt-dt"})
            yield "sparsity-0", recipe.with_settings(["sharing.sparsity=0"]), alone
        if isinstance(recipe.stream, EWC | L2 | MAS | LwF):
            plain = recipe.with_settings(["stream=finetune"]).model_copy(update={"name": "finetune"})
            yield "no-penalty", recipe.with_settings(["stream.lam=0"]), plain

    def spoiled(self, data: Any, folder: Path) -> Iterator[tuple[str, Any, str]]:
        source = Trajectories.open(data)
        yield "nothing", folder / "missing", "missing"

        def written(name: str, change: Any) -> Path:
            with TrajectoryWriter(folder / name, source.observation_size, source.action_size) as writer:
                for row in range(len(source.episodes)):
                    episode, task = source.episode(row), source.task(source.episodes["task"][row])
                    writer.add(task, change(episode))
            return folder / name

        def short(episode: Episode) -> Episode:
            return replace(
                episode,
                observations=episode.observations[:3],
                actions=episode.actions[:2],
                rewards=episode.rewards[:2],
            )

        yield "episodes-of-2-steps", written("short", short), "context"


def reads(place: Any) -> bool:
    """Return whether something is a trajectory data set, or the folder of one."""
    if isinstance(place, str | Path):
        return (Path(place) / "trajectories.json").is_file()
    return isinstance(place, Trajectories)


STAGE = Stage(
    name="decide",
    question="One policy for many tasks, from logged trajectories?",
    book=BOOK,
    references=REFERENCES,
    compare=compare,
    trial=DecideTrial(),
    reads=reads,
    diagnose=diagnose,
)
