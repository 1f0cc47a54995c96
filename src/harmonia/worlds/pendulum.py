"""The pendulum of Gymnasium, to be held at different angles, with the motor one way round or the other.

    theta'' = 15 sin(theta) + 3 u,   |u| <= 2 N m,   dt = 0.05 s,   reward (1 + cos(theta - target)) / 2

The motor is too weak to lift it (5 N m would be needed), so it must be swung up; holding it at an angle takes
-5 sin(theta), which limits the angles to |sin(theta)| < 0.4. Success: within 0.12 rad of the target and slower than
0.5 rad/s. All tasks look alike: the observation is (cos theta, sin theta, theta' / 8), as in Gymnasium but for the
scale of the speed.
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

NEAR, SLOW = 0.12, 0.5
_TOP = 5.0
_JITTER = 0.05


@dataclass(frozen=True)
class _Hold:
    """A task: the angle to hold in rad, 0 upright and positive to the left, and the sign of the motor."""

    text: str
    angle: float
    sign: int = 1


_TASKS = {
    "upright": _Hold("Swing the pendulum up and hold it upright.", 0.0),
    "lean-left": _Hold("Swing the pendulum up and hold it leaning to the left.", 0.3),
    "lean-right": _Hold("Swing the pendulum up and hold it leaning to the right.", -0.3),
    "upright-reversed": _Hold("Swing the pendulum up and hold it upright; the motor is reversed.", 0.0, -1),
    "lean-left-reversed": _Hold("Hold the pendulum leaning to the left; the motor is reversed.", 0.3, -1),
    "lean-right-reversed": _Hold("Hold the pendulum leaning to the right; the motor is reversed.", -0.3, -1),
}


class HoldEnv(GoalEnv):
    """The environment of one task of ``pendulum``."""

    def __init__(self, task: str) -> None:
        super().__init__(Pendulum.observation_size, Pendulum.action_size)
        from gymnasium.envs.classic_control.pendulum import PendulumEnv

        self.task = _TASKS[task]
        self._pendulum = PendulumEnv()

    def begin(self, goal: int) -> None:
        random = generator(0, "pendulum", goal)
        hanging = math.pi + random.uniform(-0.8, 0.8)
        start = np.array([hanging, random.uniform(-1, 1)])
        self._pendulum.state = start + self.np_random.uniform(-_JITTER, _JITTER, 2)
        self._pendulum.last_u = None

    def move(self, action: np.ndarray) -> None:
        self._pendulum.step(self.task.sign * self._pendulum.max_torque * action)

    def observation(self) -> np.ndarray:
        angle, speed = self._pendulum.state
        return np.array([math.cos(angle), math.sin(angle), speed / self._pendulum.max_speed], np.float32)

    def outcome(self) -> tuple[float, bool]:
        angle, speed = self._pendulum.state
        error = _turn(angle - self.task.angle)
        return (1 + math.cos(error)) / 2, abs(error) <= NEAR and abs(speed) <= SLOW

    def expert(self, observation: np.ndarray) -> np.ndarray:
        """Return the motor's share: pump energy in the direction of motion, then balance.

        Far from the top, u = 2 (E_top - E) sign(theta'), with E = theta'^2 / 6 + 5 cos(theta); near it, gravity is
        cancelled and a critically damped spring of 2 rad/s pulls to the target.
        """
        angle = math.atan2(observation[1], observation[0])
        speed = float(observation[2]) * self._pendulum.max_speed
        if abs(angle) < 0.5 and abs(speed) < 3:
            torque = -_TOP * math.sin(angle) - (4 * (angle - self.task.angle) + 4 * speed) / 3
        else:
            energy = speed**2 / 6 + _TOP * math.cos(angle)
            torque = 2 * (_TOP - energy) * math.copysign(1, speed)
        return np.clip([self.task.sign * torque / self._pendulum.max_torque], -1, 1).astype(np.float32)

    def draw(self, canvas: ImageDraw) -> None:
        for angle, length, colour, width in (
            (self.task.angle, 1.2, "#f2b134", 3),
            (self._pendulum.state[0], 1.0, "#2b6cb0", 16),
        ):
            end = (PIXELS - 120 * length * math.sin(angle), PIXELS - 120 * length * math.cos(angle))
            canvas.line((PIXELS, PIXELS, *end), fill=colour, width=width)
        canvas.ellipse((PIXELS - 8, PIXELS - 8, PIXELS + 8, PIXELS + 8), fill="#444444")


def _turn(angle: float) -> float:
    """Return the angle within [-pi, pi)."""
    return (angle + math.pi) % (2 * math.pi) - math.pi


class Pendulum(LightWorld):
    """The world ``pendulum``: 6 tasks of holding a pendulum; a goal is how it hangs at the start."""

    name = "pendulum"
    observation_size = 3
    action_size = 1
    horizon = 150
    texts: Mapping[str, str] = {name: task.text for name, task in _TASKS.items()}
    sets: Mapping[str, tuple[str, ...]] = {
        "all": tuple(_TASKS),
        "angles3": ("upright", "lean-left", "lean-right"),
        "opposites": ("upright", "upright-reversed"),
        "stream3": ("upright", "upright-reversed", "lean-left"),
    }

    def env(self, task: str) -> GoalEnv:
        """Return the environment of a known task."""
        return HoldEnv(task)
