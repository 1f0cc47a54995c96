"""What the built-in worlds have in common: a ``gymnasium.Env`` whose episodes are numbered goals, and how it is played.

These worlds need no simulator: a step is a few lines of arithmetic, so tests and demonstrations take seconds.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from harmonia.core.errors import InputError, MissingExtraError, suggest
from harmonia.worlds.action import bounded
from harmonia.worlds.base import WorldTask

try:
    import gymnasium
except ImportError as error:
    raise MissingExtraError("gymnasium", "decide") from error

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

GOALS = 50
"""Numbered goals of a task."""

PIXELS = 160
"""Width and height of a picture."""


class GoalEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """An environment that is told its goal: ``reset(seed=..., options={"goal": 7})``; ``info`` has ``success``."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012 - declared so by gymnasium
    render_mode = "rgb_array"

    def __init__(self, observation_size: int, action_size: int) -> None:
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (observation_size,), np.float32)
        self._action_size = action_size
        self.action_space = gymnasium.spaces.Box(-1, 1, (action_size,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode; without a goal one is drawn."""
        super().reset(seed=seed)
        goal = (options or {}).get("goal")
        self.begin(int(self.np_random.integers(GOALS)) if goal is None else numbered(goal))
        return self.observation(), {"success": 0.0}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take a step; an episode never ends by itself."""
        self.move(np.asarray(bounded(action, self._action_size), np.float64))
        reward, success = self.outcome()
        return self.observation(), reward, False, False, {"success": float(success)}

    def render(self) -> np.ndarray:
        """Return the picture: (160, 160, 3) uint8."""
        try:
            from PIL import Image, ImageDraw
        except ImportError as error:
            raise MissingExtraError("pillow", "decide") from error
        picture = Image.new("RGB", (2 * PIXELS, 2 * PIXELS), "white")
        self.draw(ImageDraw.Draw(picture))
        return np.asarray(picture.resize((PIXELS, PIXELS), Image.Resampling.BOX))

    @abstractmethod
    def begin(self, goal: int) -> None:
        """Place everything for a goal; ``np_random`` may vary the start a little."""

    @abstractmethod
    def move(self, action: np.ndarray) -> None:
        """Advance by one step: (A,) float64 within [-1, 1]."""

    @abstractmethod
    def observation(self) -> np.ndarray:
        """Return what the policy sees: (D,) float32."""

    @abstractmethod
    def outcome(self) -> tuple[float, bool]:
        """Return the reward of the present state and whether it is a success."""

    @abstractmethod
    def expert(self, observation: np.ndarray) -> np.ndarray:
        """Return the action of the scripted policy: (A,) float32."""

    @abstractmethod
    def draw(self, canvas: ImageDraw) -> None:
        """Draw the present state on a canvas of 320 x 320."""


class LightTask:
    """A light environment, played as every ``TaskEnv`` is."""

    def __init__(self, env: GoalEnv) -> None:
        self.env = env

    def reset(self, goal: int, seed: int) -> np.ndarray:
        """Begin an episode towards a goal."""
        return self.env.reset(seed=seed, options={"goal": goal})[0]

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        """Return observation, reward, success, ended."""
        observation, reward, ended, _, info = self.env.step(action)
        return observation, reward, bool(info["success"]), ended

    def expert(self, observation: np.ndarray) -> np.ndarray:
        """Return the scripted action."""
        return self.env.expert(observation)

    def render(self) -> np.ndarray:
        """Return the picture."""
        return self.env.render()

    def close(self) -> None:
        """Do nothing: a light environment holds nothing."""


class LightWorld:
    """A world of light environments; a subclass says which tasks there are and how one is made."""

    name: str
    observation_size: int
    action_size: int
    horizon: int
    goals = GOALS
    training_goals = 40
    texts: Mapping[str, str]
    """Name of each task -> what it asks for."""
    sets: Mapping[str, tuple[str, ...]]

    def env(self, task: str) -> GoalEnv:
        """Return the environment of a known task."""
        raise NotImplementedError

    def tasks(self) -> dict[str, WorldTask]:
        """Return every task by name."""
        return {name: WorldTask(name, text, self.name) for name, text in self.texts.items()}

    def nearest(self, name: str) -> str:
        """Return the hint for a name that is not known."""
        return suggest(name, [*self.texts, *self.sets])

    def make(self, task: str, *, render: bool = False) -> LightTask:
        """Return the environment of a task; it can always be drawn.

        Raises:
            InputError: the world has no such task; the nearest is suggested.
        """
        if task not in self.texts:
            raise InputError(f"{self.name} has no task {task!r}{self.nearest(task)}")
        return LightTask(self.env(task))


def numbered(goal: int, goals: int = GOALS) -> int:
    """Return the number of a goal.

    Raises:
        InputError: there is no such goal.
    """
    if not 0 <= goal < goals:
        raise InputError(f"goal {goal}: goals are numbered 0 to {goals - 1}")
    return int(goal)
