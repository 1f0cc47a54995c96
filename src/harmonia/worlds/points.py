"""A point with momentum in a square, whose tasks want opposite things of the same observation.

    v <- 0.8 v + 0.04 M a,   p <- p + v,   reward exp(-|target - p| / 0.3),   success |target - p| <= 0.1

The observation is (p, v, cue). Compass tasks hide their target (cue 0), so all of them look alike at the start;
reaching tasks show it but may turn or reverse the actuators, M. The experts of ``reach`` and ``reach-reversed`` are
opposite at every observation: the best policy by squared error that is not told the task does nothing at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harmonia.core.seeds import generator
from harmonia.worlds.light import PIXELS, GoalEnv, LightWorld

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

FRICTION, THRUST, RADIUS = 0.8, 0.04, 0.1
_JITTER = 0.02

_FORWARD = ((1, 0), (0, 1))
_REVERSED = ((-1, 0), (0, -1))
_TURNED = ((0, -1), (1, 0))
_MIRRORED = ((-1, 0), (0, 1))


@dataclass(frozen=True)
class _Point:
    """A task: where its target is (None: drawn with the goal, and shown), and what its actuators do."""

    text: str
    target: tuple[float, float] | None
    actuators: tuple[tuple[int, int], tuple[int, int]] = _FORWARD


_DIAGONAL = 0.8 * math.sqrt(0.5)
_TASKS = {
    "north": _Point("Move the point to the middle of the upper edge.", (0, 0.8)),
    "south": _Point("Move the point to the middle of the lower edge.", (0, -0.8)),
    "east": _Point("Move the point to the middle of the right edge.", (0.8, 0)),
    "west": _Point("Move the point to the middle of the left edge.", (-0.8, 0)),
    "northeast": _Point("Move the point to the upper right corner.", (_DIAGONAL, _DIAGONAL)),
    "southeast": _Point("Move the point to the lower right corner.", (_DIAGONAL, -_DIAGONAL)),
    "southwest": _Point("Move the point to the lower left corner.", (-_DIAGONAL, -_DIAGONAL)),
    "northwest": _Point("Move the point to the upper left corner.", (-_DIAGONAL, _DIAGONAL)),
    "north-reversed": _Point("Move the point to the upper edge with reversed controls.", (0, 0.8), _REVERSED),
    "east-reversed": _Point("Move the point to the right edge with reversed controls.", (0.8, 0), _REVERSED),
    "reach": _Point("Move the point to the marked target.", None),
    "reach-reversed": _Point("Move the point to the marked target with reversed controls.", None, _REVERSED),
    "reach-turned": _Point("Move the point to the marked target, controls turned by a quarter.", None, _TURNED),
    "reach-mirrored": _Point("Move the point to the marked target, left and right exchanged.", None, _MIRRORED),
}


class PointEnv(GoalEnv):
    """The environment of one task of ``points``."""

    def __init__(self, task: str) -> None:
        super().__init__(Points.observation_size, Points.action_size)
        self.task = _TASKS[task]
        self._actuators = np.array(self.task.actuators, np.float64)

    def begin(self, goal: int) -> None:
        # of the goal alone, not of the task: tasks that hide their target start from the same observations
        random = generator(0, "points", goal)
        self._position = _polar(random, 0.0, 0.3) + self.np_random.uniform(-_JITTER, _JITTER, 2)
        shown = _polar(random, 0.6, 0.9)
        self._velocity = np.zeros(2)
        self.target = shown if self.task.target is None else np.array(self.task.target, np.float64)
        self._cue = shown if self.task.target is None else np.zeros(2)

    def move(self, action: np.ndarray) -> None:
        self._velocity = FRICTION * self._velocity + THRUST * self._actuators @ action
        moved = self._position + self._velocity
        self._position = np.clip(moved, -1, 1)
        self._velocity[moved != self._position] = 0.0  # the walls stop it

    def observation(self) -> np.ndarray:
        return np.concatenate([self._position, self._velocity, self._cue]).astype(np.float32)

    def outcome(self) -> tuple[float, bool]:
        distance = math.dist(self._position, self.target)
        return math.exp(-distance / 0.3), distance <= RADIUS

    def expert(self, observation: np.ndarray) -> np.ndarray:
        """Return a saturated spring and damper, 3 (target - p) - 3 v, seen through the actuators."""
        wanted = np.clip(3 * (self.target - observation[:2]) - 3 * observation[2:4], -1, 1)
        # the actuators are a signed permutation: their inverse is their transpose
        return (self._actuators.T @ wanted).astype(np.float32)

    def draw(self, canvas: ImageDraw) -> None:
        canvas.rectangle((0, 0, 2 * PIXELS - 1, 2 * PIXELS - 1), outline="#888888", width=4)
        for centre, radius, colour in ((self.target, RADIUS, "#f2b134"), (self._position, 0.05, "#2b6cb0")):
            x, y, r = PIXELS * (1 + centre[0]), PIXELS * (1 - centre[1]), PIXELS * radius
            canvas.ellipse((x - r, y - r, x + r, y + r), fill=colour)


def _polar(random: np.random.Generator, near: float, far: float) -> np.ndarray:
    radius, angle = random.uniform(near, far), random.uniform(0, 2 * math.pi)
    return radius * np.array([math.cos(angle), math.sin(angle)])


_STREAM3 = ("north", "east", "reach")
_STREAM5 = ("north", "reach", "east", "reach-reversed", "south")


class Points(LightWorld):
    """The world ``points``: 14 tasks of a point with momentum; a goal is where it starts and, if shown, its target."""

    name = "points"
    observation_size = 6
    action_size = 2
    horizon = 30
    texts: Mapping[str, str] = {name: task.text for name, task in _TASKS.items()}
    sets: Mapping[str, tuple[str, ...]] = {
        "all": tuple(_TASKS),
        "opposites": ("reach", "reach-reversed"),
        "conflict4": ("north", "south", "east", "west"),
        "conflict8": tuple(_TASKS)[:8],
        "actuators4": ("reach", "reach-reversed", "reach-turned", "reach-mirrored"),
        "stream3": _STREAM3,
        "stream5": _STREAM5,
        "repeat": 2 * _STREAM3,
        "stream5-repeat": 2 * _STREAM5,
    }

    def env(self, task: str) -> GoalEnv:
        """Return the environment of a known task."""
        return PointEnv(task)
