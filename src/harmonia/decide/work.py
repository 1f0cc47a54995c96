"""A run at work: a policy, its tasks, the environments that judge it, and what a learner may ask for on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmonia.core.errors import InputError
from harmonia.core.files import read_json, write_json
from harmonia.core.run import Run
from harmonia.decide.actor import Actor
from harmonia.decide.arena import Arena, outcome_rows
from harmonia.decide.learner import Phase, Surroundings
from harmonia.decide.lineup import Lineup
from harmonia.decide.policy import Frame, Policy
from harmonia.decide.recipe import DecideRecipe

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.data.trajectories.windows import Windows


@dataclass
class Work:
    """Trains and judges a policy; what was done before an interruption is read back from the run's folder.

    Attributes:
        run: the open run.
        recipe: how to train.
        lineup: the tasks and their data.
        arena: environments that judge; None where there are none.
        seed: of every random choice.
        curve: in a stream, how many times the task being learned is judged on the way.
        device: where the policy computes.
        outcomes: one record per episode played, see ``harmonia.decide.arena.outcome_rows``.
    """

    run: Run
    recipe: DecideRecipe
    lineup: Lineup
    arena: Arena | None
    seed: int
    curve: int
    device: str
    outcomes: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        lineup = self.lineup
        self.sequential = self.recipe.stream.sequential
        frame = Frame(
            labels=lineup.labels,
            learned=lineup.learned,
            tasks=tuple(record.name for record in lineup.records),
            texts=tuple(record.text for record in lineup.records),
            worlds=tuple(record.world for record in lineup.records),
            targets=lineup.targets,
            observation_size=lineup.data.observation_size,
            action_size=lineup.data.action_size,
            horizon=lineup.horizon,
            return_scale=lineup.return_scale,
            pooled=self.recipe.training.normalise == "pooled",
            seed=self.seed,
        )
        self.policy = Policy(
            self.recipe,
            frame,
            lineup.mean,
            lineup.inverse,
            lineup.prompts_to_act(self.recipe),
            self.recipe.conditioning.vectors(frame.labels, frame.texts),
            self.device,
        )
        self.around = Surroundings(
            draw=self._draw,
            trial=self._trial if self.arena is not None else None,
            log=self.run.log,
            warn=self.run.warn,
            held_out=lineup.validation is not None,
        )

    @property
    def places(self) -> range:
        """Places of the tasks in the order of learning."""
        return range(self.lineup.learned)

    def train(self) -> None:
        """Train all tasks, together or one after another, and judge the policy after each."""
        from harmonia.decide.trainer import Trainer

        learner, training = self.policy.learner, self.recipe.training
        trainer = Trainer(
            learner=learner,
            training=training,
            rule=self.recipe.gradient,
            stream=self.recipe.stream.start(learner, self.around),
            around=self.around,
            seed=self.seed,
            file=self.run.state / "training.safetensors",
            halfway=self._halfway,
            points=self.curve if self.sequential else 0,
        )
        alone = self.sequential or not self.recipe.sharing.shares
        calls = [(place,) for place in self.places] if alone else [tuple(self.places)]
        # a step in turn serves one task, so a network of its own gets its task's turns alone
        turns = len(calls) if training.batching == "round-robin" and not self.sequential else 1
        learner.phases(calls[0], training.steps)  # what cannot be learned is told before anything is played
        if self.sequential:
            self._judged("untrained", partial(self._play_all, None, "untrained"))
        for number, tasks in enumerate(calls):
            with self.run.phase("training"):
                trainer.train(learner.phases(tasks, max(1, training.steps // turns)), number)
            if not self.sequential and number < len(calls) - 1:
                continue
            after = self.lineup.labels[tasks[-1]] if self.sequential else "all"
            with self.run.phase("judging"):
                self._recall_curve(tasks[-1])
                self._judged(f"after-{number}", partial(self._play_all, tasks[-1], after))
        self.losses = trainer.losses

    def judge_unknown(self) -> None:
        """Play every task with the policy that is not told which one it is."""
        if self.arena is None or self.sequential:
            return
        arena, policy = self.arena, self.policy

        def play() -> list[dict[str, Any]]:
            actor = policy.unknown(list(self.places), len(arena.goals))
            labels = self.lineup.names
            return outcome_rows(arena.play(actor, list(self.places)), arena, labels, "all", None, "unknown")

        self._judged("unknown", play)

    def judge_unseen(self) -> None:
        """Show the policy a few windows of the tasks that were not learned, and play them."""
        rows = list(range(self.lineup.learned, len(self.lineup.labels)))
        for row in rows:
            self.policy.learner.meet(row, self.around)
        if self.arena is None:
            return
        arena = self.arena

        def play() -> list[dict[str, Any]]:
            actor = self.policy.unseen(rows, len(arena.goals))
            labels = [self.lineup.labels[row] for row in rows]
            return outcome_rows(arena.play(actor, rows), arena, labels, "all", None, "unseen")

        self._judged("unseen", play)

    # -- what a learner may ask for --------------------------------------------------------------------------------

    def _draw(self, tasks: Sequence[int], batch: int, purpose: str, number: int) -> Windows:
        sampler = self.lineup.sampler
        if purpose.startswith("validation"):
            if self.lineup.validation is None:
                raise InputError(
                    "no episodes are left to validate on: --set training.validation=0.1, or gather more episodes"
                )
            sampler = self.lineup.validation
        return sampler.draw(tasks, batch, number, purpose).tensors(self.device)

    def _trial(self, place: int, act: Callable[[Windows], Tensor]) -> float:
        assert self.arena is not None
        actor = self.policy.actor((place,), self.arena.trial_episodes, lambda tasks, windows: act(windows))
        return self.arena.trial(actor, place)

    # -- judging ---------------------------------------------------------------------------------------------------

    def _judged(self, name: str, play: Callable[[], list[dict[str, Any]]]) -> None:
        """Play once per run: what was played before an interruption is read back."""
        if self.arena is not None:
            self.outcomes += read_json(self._played(name, play))

    def _played(self, name: str, play: Callable[[], list[dict[str, Any]]]) -> Path:
        """Return the file of the episodes of this name, played unless they were."""
        path = self.run.state / "played" / f"{name}.json"
        if not path.exists():
            write_json(path, play())
        return path

    def _recall_curve(self, place: int) -> None:
        """Take up how a task went while it was learned, before an interruption as well as after it."""
        found = (self.run.state / "played").glob(f"curve-{place}-*.json")
        for path in sorted(found, key=lambda each: int(each.stem.rpartition("-")[2])):
            self.outcomes += read_json(path)

    def _play_all(self, last: int | None, after: str) -> list[dict[str, Any]]:
        """Play every task; one that was not learned yet is played by the policy of the last task learned.

        In a stream each task is played in a forward pass of its own, so that the numbers of one task do not depend, in
        the last bit, on which others are played beside it.
        """
        if not self.sequential:
            return self._play(list(self.places), list(self.places), after, None)
        rows = []
        for place in self.places:
            policy = 0 if last is None else min(place, last)
            rows += self._play([policy], [place], after, None)
        return rows

    def _halfway(self, phase: Phase, step: int) -> None:
        if self.arena is None:
            return
        place = phase.tasks[0]
        learner = self.policy.learner

        def now(tasks: Sequence[int], windows: Windows) -> Tensor:
            import torch

            with torch.no_grad():
                return learner.actions(learner.vector, tasks, windows)

        actor = self.policy.actor((place,), len(self.arena.goals), now)
        label = self.lineup.labels[place]
        self._played(f"curve-{place}-{step}", lambda: self._play([place], [place], label, step, actor))

    def _play(
        self, policies: list[int], places: list[int], after: str, step: int | None, actor: Actor | None = None
    ) -> list[dict[str, Any]]:
        assert self.arena is not None
        actor = actor or self.policy.actor(policies, len(self.arena.goals))
        played = self.arena.play(actor, places)
        return outcome_rows(played, self.arena, [self.lineup.labels[p] for p in places], after, step)
