"""What a world is: a family of tasks with one observation and one action space, whose episodes can be played.

A task's environment is a ``gymnasium.Env``; goals are numbered, so that training and held-out goals never mix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class WorldTask:
    """A task of a world.

    Attributes:
        name: ``"push-v3"``.
        text: one sentence that describes it.
        world: name of its world, ``"metaworld"``.
    """

    name: str
    text: str
    world: str


class TaskEnv(Protocol):
    """An environment of one task. ``env`` is a ``gymnasium.Env``; its ``info`` has ``success`` (0 or 1)."""

    env: Any

    def reset(self, goal: int, seed: int) -> np.ndarray:
        """Begin an episode towards a numbered goal; the same goal and seed give the same episode: (D,) float32."""
        ...

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        """Clip the action to its bounds and take a step; return observation, reward, success, ended."""
        ...

    def expert(self, observation: np.ndarray) -> np.ndarray:
        """Return the action of the scripted policy: (A,) float32."""
        ...

    def render(self) -> np.ndarray:
        """Return a picture: (height, width, 3) uint8.

        Raises:
            HarmoniaError: there is nothing to render with; the message says what to install or set.
        """
        ...

    def close(self) -> None:
        """Free what the environment holds."""
        ...


class World(Protocol):
    """A family of tasks.

    Attributes:
        name: ``"metaworld"``.
        observation_size: D.
        action_size: A; actions lie in [-1, 1].
        horizon: default number of steps of an episode; episodes have a fixed length, as stopping at success would give
            fast successes the lower return.
        goals: how many numbered goals each task has.
        training_goals: goals 0 .. training_goals - 1 are for gathering, the others are held out.
        sets: named sets of tasks, in order: ``"mt10"``, ``"ocw10"``; a task may come again in a stream.
    """

    name: str
    observation_size: int
    action_size: int
    horizon: int
    goals: int
    training_goals: int
    sets: Mapping[str, tuple[str, ...]]

    def tasks(self) -> dict[str, WorldTask]:
        """Return every task by name."""
        ...

    def nearest(self, name: str) -> str:
        """Return the end of a message about a name that is neither a task nor a set: the nearest known, or nothing."""
        ...

    def make(self, task: str, *, render: bool = False) -> TaskEnv:
        """Return the environment of a task.

        Raises:
            InputError: no such task; the nearest is suggested, and v2 names are translated to v3.
            MissingExtraError: the simulator is not installed.
        """
        ...
