"""Frank-Wolfe over a polytope of masks: maximise a concave f(m), m in [0, 1]^n, with a certificate.

    s = argmax_s gradient(m) . s,   gap = gradient(m) . (s - m),   m <- m + t (s - m),  t = min(1, gap / (2 c))

for f(m + t p) = f(m) + t gradient . p - c t^2. By concavity f(m) + gap bounds f everywhere on the polytope, so also at
every subset (Frank & Wolfe 1956; Jaggi 2013).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Vector = np.ndarray


@dataclass(frozen=True)
class Optimum:
    """Where the iteration stopped.

    Attributes:
        m: (n,) float64 fractional mask.
        value: f(m).
        bound: smallest upper bound on f seen.
        bounds: (iterations,) best bound after each iteration; never increases.
        iterations: gradients computed.
    """

    m: Vector
    value: float
    bound: float
    bounds: Vector
    iterations: int


def maximise(
    value: Callable[[Vector], float],
    gradient: Callable[[Vector], Vector],
    curvature: Callable[[Vector], float],
    oracle: Callable[[Vector], Vector],
    start: Vector,
    *,
    tolerance: float,
    iterations: int,
) -> Optimum:
    """Maximise a concave quadratic over the convex hull of the oracle's answers.

    Args:
        value: f.
        gradient: its gradient; a coordinate of -inf is one that the oracle never raises.
        curvature: c >= 0 along a direction, as above.
        oracle: gradient -> the vertex that maximises its product with it.
        start: (n,) a vertex or any point of the polytope.
        tolerance: stop when best bound - f(m) is at most this.
        iterations: stop after so many gradients.
    """
    m = np.array(start, np.float64)
    bound, bounds = math.inf, []
    while True:
        now, slope = value(m), gradient(m)
        direction = oracle(slope) - m
        moving = np.flatnonzero(direction)
        gap = float(slope[moving] @ direction[moving])
        bound = min(bound, now + max(gap, 0.0))
        bounds.append(bound)
        if bound - now <= tolerance or gap <= 0 or len(bounds) >= iterations:
            return Optimum(m, now, bound, np.array(bounds), len(bounds))
        bend = curvature(direction)
        m += (1.0 if 2 * bend <= gap else gap / (2 * bend)) * direction
