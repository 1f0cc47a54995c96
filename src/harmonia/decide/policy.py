"""A trained policy: saved as config.json and model.safetensors, loaded in one line, asked with ``act(observation)``.

policy = harmonia.decide.load("runs/decide-1")
policy.reset("push-v3")
action = policy.act(observation, reward)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harmonia.core.errors import InputError, require, suggest
from harmonia.core.files import read_json, write_json
from harmonia.core.recipe import validate
from harmonia.core.seeds import generator
from harmonia.data.trajectories.windows import ARRAYS, Windows
from harmonia.decide import checkpoint
from harmonia.decide.actor import Actor
from harmonia.decide.backbone.base import Sizes
from harmonia.decide.recipe import DecideRecipe

if TYPE_CHECKING:
    from torch import Tensor

    from harmonia.decide.learner import Learner


@dataclass(frozen=True)
class Frame:
    """Everything that a policy is built from, beside what it has learned; JSON.

    Attributes:
        labels: names of the policies, one per place in the order of learning; then tasks that were not learned.
        learned: how many were learned.
        tasks: the task of each.
        texts: its description.
        worlds: where it can be played, or None.
        targets: the return to ask for.
        observation_size: D.
        action_size: A.
        horizon: steps of an episode.
        return_scale: returns are divided by it.
        pooled: whether observations are normalised alike for all tasks.
        seed: of the run.
    """

    labels: tuple[str, ...]
    learned: int
    tasks: tuple[str, ...]
    texts: tuple[str, ...]
    worlds: tuple[str | None, ...]
    targets: tuple[float, ...]
    observation_size: int
    action_size: int
    horizon: int
    return_scale: float
    pooled: bool
    seed: int


class Policy:
    """A learner with all that it needs to act.

    Attributes:
        recipe: how it was made.
        frame: tasks and sizes.
        learner: the weights, and how tasks share them.
        prompts: (n, best, P0, ...) windows put before the policy's own, or None.

    Args:
        recipe: see above.
        frame: see above.
        mean: (n, D) subtracted from observations.
        inverse: (n, D) factor on observations.
        prompts: see above.
        condition: (n, C) what the network is told of each task, or None.
        device: where it computes.
    """

    def __init__(
        self,
        recipe: DecideRecipe,
        frame: Frame,
        mean: np.ndarray,
        inverse: np.ndarray,
        prompts: Windows | None,
        condition: np.ndarray | None,
        device: str = "cpu",
    ) -> None:
        import torch

        from harmonia.decide.setting import Setting
        from harmonia.models.flat import FlatNetwork

        self.recipe, self.frame, self.prompts, self.device = recipe, frame, prompts, device
        self._mean, self._inverse, self._condition = mean, inverse, condition
        sizes = Sizes(
            observation=frame.observation_size,
            action=frame.action_size,
            condition=0 if condition is None else condition.shape[1],
            prompt=prompting.steps if (prompting := recipe.conditioning.prompting) else 0,
            horizon=frame.horizon,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(generator(frame.seed, "network").integers(2**62)))
            module = recipe.backbone.build(sizes)
        setting = Setting(
            network=FlatNetwork(module.eval()).to(device),
            names=frame.labels[: frame.learned],
            texts=frame.texts[: frame.learned],
            heads=frame.learned if recipe.stream.heads == "per-task" else 1,
            condition=None if condition is None else torch.from_numpy(condition).to(device),
            mean=torch.from_numpy(mean).to(device),
            inverse=torch.from_numpy(inverse).to(device),
            return_scale=frame.return_scale,
            seed=frame.seed,
            device=device,
            pooled=frame.pooled,
        )
        self.learner: Learner = recipe.sharing.build(setting)
        self._actor: Actor | None = None

    # -- acting ---------------------------------------------------------------------------------------------------

    def reset(self, task: str | None = None, *, target_return: float | None = None) -> None:
        """Begin an episode of a task.

        Args:
            task: its name; may be left out when the policy knows one task only, or finds out the task by itself.
            target_return: the return to ask for; by default what the task's good episodes reached.

        Raises:
            InputError: no such task, none was named and the policy needs one, or the return is not finite.
        """
        index = self.index(task)
        if target_return is not None and not np.isfinite(target_return):
            raise InputError(f"the return to ask for is {target_return}; give a finite number")
        targets = None if target_return is None else [target_return]
        if task is None and not self.recipe.sharing.needs_task and len(self.frame.labels) > 1:
            self._actor = self.unknown((index,), 1, targets)
        elif index >= self.frame.learned:
            self._actor = self.unseen((index,), 1, targets)
        else:
            self._actor = self.actor((index,), 1, targets=targets)
        self._begun = False

    def act(self, observation: np.ndarray, reward: float = 0.0) -> np.ndarray:
        """Return the next action, (A,) in [-1, 1], for an observation, (D,), and the reward of the step before it.

        Raises:
            InputError: the policy needs to be told a task by ``reset``, the observation has another size, or it or the
                reward is not finite.
        """
        if self._actor is None:
            self.reset()
        assert self._actor is not None
        observation = np.asarray(observation, np.float32)
        if observation.shape != (self.frame.observation_size,):
            raise InputError(
                f"an observation has shape {observation.shape}; the policy reads ({self.frame.observation_size},)"
            )
        if not np.isfinite(observation).all() or not np.isfinite(reward):
            raise InputError("an observation or reward is NaN or infinite")
        if self._begun:
            self._actor.record(observation[None, None], np.array([[reward]], np.float32))
        else:
            self._actor.start(observation[None, None])
            self._begun = True
        return self._actor.act()[0, 0]

    def actor(
        self,
        policies: Sequence[int],
        episodes: int,
        act: Callable[[Sequence[int], Windows], Tensor] | None = None,
        *,
        targets: Sequence[float] | None = None,
    ) -> Actor:
        """Return what plays several episodes with each of these policies."""
        prompt = None
        if self.prompts is not None:
            of = self.prompts.of(list(policies))
            best = np.arange(episodes) % of.observations.shape[1]
            prompt = of.some(best)
        return Actor(
            act or self.learner.act,
            policies,
            targets if targets is not None else [self.frame.targets[i] for i in policies],
            self.recipe.backbone.context,
            self.frame.action_size,
            prompt,
            self.device,
        )

    def unknown(self, rows: Sequence[int], episodes: int, targets: Sequence[float] | None = None) -> Actor:
        """Return what plays without being told the task: no prompt, and one return to ask for in all tasks.

        Args:
            rows: one index per row of episodes; their number matters, not their values.
            episodes: per row.
            targets: the returns to ask for; the median of the learned tasks' when left out.
        """
        if targets is None:
            targets = [float(np.median(self.frame.targets[: self.frame.learned]))] * len(rows)
        context, size = self.recipe.backbone.context, self.frame.action_size
        return Actor(self.learner.act_unknown(episodes), rows, targets, context, size, device=self.device)

    def unseen(self, rows: Sequence[int], episodes: int, targets: Sequence[float] | None = None) -> Actor:
        """Return what plays tasks that were not learned, told what the recipe tells: a prompt, a text, or nothing."""
        return self.actor(rows, episodes, self.learner.act_unseen(rows, episodes), targets=targets)

    def index(self, task: str | None) -> int:
        """Return the place of a task's policy; a task that came again in the stream is ``"push-v3@2"``."""
        labels = self.frame.labels
        if task is None:
            if len(labels) > 1 and self.recipe.sharing.needs_task:
                raise InputError(f"name the task to act in: reset(task); known: {', '.join(labels)}")
            return 0
        if task not in labels:
            raise InputError(f"the policy does not know task {task!r}{suggest(task, labels)}")
        return labels.index(task)

    # -- keeping --------------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors into a folder."""
        folder = Path(folder)
        arrays = {"normalise": {"mean": self._mean, "inverse": self._inverse}, "learner": self.learner.state()}
        if self._condition is not None:
            arrays["condition"] = {"vectors": self._condition}
        if self.prompts is not None:
            arrays["prompt"] = {name: getattr(self.prompts, name) for name in ARRAYS}
        checkpoint.write(folder / "model.safetensors", arrays, {})
        record = {"format": "harmonia-policy", "version": 1, "frame": asdict(self.frame)}
        write_json(folder / "config.json", {**record, "recipe": self.recipe.model_dump(mode="json")})

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> Policy:
        """Read a policy from its folder, or from the folder of the run that made it.

        Args:
            folder: of the run, or of the policy.
            device: ``"cpu"``, ``"cuda"``, or ``"auto"``.

        Raises:
            InputError: there is no policy in the folder, it is of a newer version, or there is no such device.
            RunError: its file is damaged.
        """
        from harmonia.models.train_lm import best_device

        require("torch", "decide")
        path = Path(folder)
        path = path / "result" / "policy" if (path / "result" / "policy").is_dir() else path
        if not (path / "config.json").exists():
            raise InputError(f"{folder} holds no policy (no config.json); name a finished run of harmonia decide")
        config = read_json(path / "config.json")
        if config.get("format") != "harmonia-policy" or config.get("version") != 1:
            raise InputError(f"{path / 'config.json'} is not a policy that this version of harmonia can read")
        held, _ = checkpoint.read(path / "model.safetensors")
        told: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config.get("frame", {}).items()}
        if set(told) != {field.name for field in fields(Frame)} or not {"normalise", "learner"} <= set(held):
            raise InputError(f"{path} lacks parts of a policy, or was written by another version: train it again")
        prompt: dict[str, Any] = held.get("prompt", {})
        made = cls(
            validate(DecideRecipe, config.get("recipe"), str(path / "config.json")),
            Frame(**told),
            held["normalise"]["mean"],
            held["normalise"]["inverse"],
            Windows(**prompt) if prompt else None,
            held["condition"]["vectors"] if "condition" in held else None,
            str(best_device(device)),
        )
        made.learner.restore(held["learner"])
        return made


def load(folder: str | Path, device: str = "cpu") -> Policy:
    """Read a trained policy; see ``Policy.load``."""
    return Policy.load(folder, device)
