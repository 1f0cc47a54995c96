"""The tasks of a run and their data: which episodes train, which validate, which prompt, and what return to ask for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harmonia.core.errors import InputError, suggest
from harmonia.data.trajectories import (
    Prompts,
    Split,
    TaskRecord,
    Trajectories,
    Windows,
    WindowSampler,
    pooled_statistics,
    split_episodes,
    statistics,
    target_return,
)
from harmonia.decide.recipe import DecideRecipe


@dataclass(frozen=True)
class Lineup:
    """Tasks in the order in which they are learned, and their data.

    Attributes:
        data: the trajectories.
        labels: one unique name per place; a task that comes again is ``"push-v3@2"``.
        learned: how many of the places are learned; the tasks of the others are never trained on.
        records: the task at each place.
        splits: its episodes, by use.
        targets: the return asked of the policy of each place.
        mean: (n, D) float32 subtracted from observations.
        inverse: (n, D) float32 factor on observations.
        return_scale: returns are divided by it.
        sampler: draws windows for training.
        validation: draws windows of held-out episodes; None where a task has none that fills a window.
    """

    data: Trajectories
    labels: tuple[str, ...]
    learned: int
    records: tuple[TaskRecord, ...]
    splits: tuple[Split, ...]
    targets: tuple[float, ...]
    mean: np.ndarray
    inverse: np.ndarray
    return_scale: float
    sampler: WindowSampler
    validation: WindowSampler | None

    @classmethod
    def of(
        cls,
        data: Trajectories,
        names: Sequence[str],
        recipe: DecideRecipe,
        seed: int,
        *,
        quality: Collection[str] | None = None,
        unseen: Sequence[str] = (),
        hold_prompts: bool = False,
    ) -> Lineup:
        """Prepare these tasks for a recipe.

        Args:
            data: the trajectories.
            names: tasks to learn, in order.
            recipe: says context, prompts, normalisation.
            seed: of the split of episodes.
            quality: labels of the episodes to train on; None for all.
            unseen: tasks that are not learned, on which the policy is judged too; their places come last.
            hold_prompts: keep prompt episodes out of training although the recipe takes no prompts, so that it trains
                on the same episodes as one that does.

        Raises:
            InputError: an unknown task or quality, a task without episodes, or one with too few steps.
        """
        if not names:
            raise InputError("no task to learn; name some with --tasks or --stream")
        if both := sorted(set(names) & set(unseen)):
            raise InputError(f"task {both[0]} is to be learned and to be unseen: name it once")
        training, prompting, context = recipe.training, recipe.conditioning.prompting, recipe.backbone.context
        everything = [*names, *unseen]
        labels = unique_labels(everything)
        records = tuple(data.task(name) for name in everything)
        splits = tuple(
            _of_quality(
                data,
                name,
                split_episodes(
                    data, name, validation=training.validation, prompts=hold_prompts or prompting is not None, seed=seed
                ),
                quality,
            )
            for name in everything
        )
        for record, split in zip(records, splits, strict=True):
            _check_lengths(data, record, split, context, prompting.steps if prompting else 0)
        learned = splits[: len(names)]
        if recipe.backbone.reads_returns and not any(data.returns[split.train].any() for split in learned):
            raise InputError(
                f"every return in {data.folder} is 0, and backbone={recipe.backbone.kind_name()} is told returns: "
                "--set backbone=mt-bc"
            )
        if training.normalise == "pooled":
            each = [pooled_statistics(data, [split.train for split in learned])] * len(everything)
        else:
            each = [statistics(data, split.train) for split in splits]
        prompts = prompting and Prompts([split.prompt for split in splits], **asdict(prompting))

        def sampler(rows: list[np.ndarray]) -> WindowSampler:
            return WindowSampler(data, rows, labels, context, seed, prompts)

        # where returns lie below zero the best of them is near zero, and no scale
        typical = (float(np.median(np.abs(data.returns[split.train]))) for split in learned)
        targets = tuple(target_return(data, name, training.target_quantile, quality) for name in everything)
        return cls(
            data=data,
            labels=labels,
            learned=len(names),
            records=records,
            splits=splits,
            targets=targets,
            mean=np.stack([found.mean for found in each]),
            inverse=np.stack([found.inverse for found in each]),
            return_scale=training.return_scale or max(*map(abs, targets[: len(names)]), *typical, 1e-6),
            sampler=sampler([split.train for split in splits]),
            validation=sampler([split.validation for split in splits])
            if all(data.lengths[split.validation].max(initial=0) >= context for split in splits)
            else None,
        )

    def prompts_to_act(self, recipe: DecideRecipe) -> Windows | None:
        """Return the prompts with which the policy acts, (n, best, P0, ...); None where it takes none."""
        prompting = recipe.conditioning.prompting
        return prompting and self.sampler.draw(range(len(self.labels)), prompting.best, 0, "act").prompt

    def doubts(self, recipe: DecideRecipe) -> list[str]:
        """Return what a careful reader of the data would point out, one sentence each."""
        found = []
        rows = getattr(recipe.backbone, "max_timestep", self.horizon)
        if self.horizon > rows:
            found.append(
                f"episodes have up to {self.horizon} steps and the table of timesteps has {rows} rows, so that later "
                f"steps are not told apart: --set backbone.max_timestep={self.horizon}"
            )
        for record, split, target in self._learned():
            success = self.data.episodes[split.train]["success"]
            if success.null_count() < len(success) and not success.any():
                found.append(
                    f"task {record.name}: no training episode succeeds; a policy can hardly do better than its data"
                )
            best = float(self.data.returns[split.train].max())
            if recipe.backbone.reads_returns and target > best + 1e-6:
                found.append(
                    f"task {record.name}: the target return {target:.4g} is above every training episode's (at most "
                    f"{best:.4g}); lower training.target_quantile"
                )
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """Labels of the tasks that are learned."""
        return self.labels[: self.learned]

    @property
    def world(self) -> str | None:
        """Name of the world in which the tasks can be played; None when one of them has none, or they differ."""
        worlds = {record.world for record in self.records}
        return worlds.pop() if len(worlds) == 1 else None

    @property
    def horizon(self) -> int:
        """Steps of the longest episode."""
        return max(record.horizon for record in self.records)

    def summary(self) -> list[dict[str, Any]]:
        """Return what a report says of the tasks' data."""
        return [
            {
                "name": label,
                "task": record.name,
                "text": record.text,
                "episodes": {"train": len(s.train), "validation": len(s.validation), "prompt": len(s.prompt)},
                "steps": int(self.data.lengths[s.train].sum()),
                "target_return": target,
            }
            for label, (record, s, target) in zip(self.labels, self._learned(), strict=False)
        ]

    def _learned(self) -> list[tuple[TaskRecord, Split, float]]:
        return list(zip(self.records, self.splits, self.targets, strict=True))[: self.learned]


def unique_labels(names: Iterable[str]) -> tuple[str, ...]:
    """Return one name per place.

    >>> unique_labels(["push", "reach", "push"])
    ('push', 'reach', 'push@2')
    """
    seen: Counter[str] = Counter()
    labels = []
    for name in names:
        seen[name] += 1
        labels.append(name if seen[name] == 1 else f"{name}@{seen[name]}")
    return tuple(labels)


def _of_quality(data: Trajectories, task: str, split: Split, quality: Collection[str] | None) -> Split:
    """Return the split with the episodes of these quality labels alone."""
    if quality is None:
        return split
    known = sorted(set(data.qualities_of(data.rows_of(task)).tolist()))
    for label in quality:
        if label not in known:
            raise InputError(f"task {task} has no episodes of quality {label!r}{suggest(label, known)}")
    kept = {
        use: rows[np.isin(data.qualities_of(rows), list(quality))] if len(rows) else rows
        for use, rows in vars(split).items()
    }
    if not len(kept["train"]):
        raise InputError(f"task {task}: no episode of quality {', '.join(quality)} is left to train on; gather more")
    return Split(**kept)


def _check_lengths(data: Trajectories, record: TaskRecord, split: Split, context: int, prompt_steps: int) -> None:
    longest = int(data.lengths[split.train].max())
    if longest < context:
        raise InputError(
            f"task {record.name}: its longest episode has {longest} steps, the context {context}: "
            f"--set backbone.context={longest}"
        )
    if prompt_steps and not len(split.prompt):
        raise InputError(
            f"task {record.name}: no episode is left for prompts; gather more, or --set conditioning=task-id"
        )
    if prompt_steps and int(data.lengths[split.prompt].max()) < prompt_steps:
        raise InputError(
            f"task {record.name}: its prompt episodes are shorter than the prompt of {prompt_steps} steps: "
            "--set conditioning.steps to less"
        )
