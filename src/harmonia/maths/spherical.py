"""Means on the sphere, of vectors of which only the inner products are known.

Every such mean lies in the span of the vectors, so its coefficients follow from their Gram matrix, however long the
vectors are.
"""

from __future__ import annotations

import math

import numpy as np

COLLINEAR = 0.9995
"""|cosine| from which two directions count as one."""


def slerp_coefficients(gram: np.ndarray, t: float) -> tuple[float, float] | None:
    """Return (a, b) such that a u + b v is t of the way from u to v along the arc; None where there is no arc.

    a = sin((1 - t) T) / sin T, b = sin(t T) / sin T with T the angle: exactly (1, 0) at t = 0 and (0, 1) at t = 1.

    Args:
        gram: (2, 2) inner products of u and v, which need not have unit length.
        t: how far.

    >>> slerp_coefficients(np.array([[1.0, 0.0], [0.0, 4.0]]), 0.5)
    (0.7071067811865475, 0.7071067811865475)
    """
    cos = cosine(gram)
    if cos is None or abs(cos) > COLLINEAR:
        return None
    angle = math.acos(cos)
    return math.sin((1 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle)


def cosine(gram: np.ndarray) -> float | None:
    """Return the cosine of two vectors from their (2, 2) Gram matrix; None if one is zero."""
    lengths = math.sqrt(gram[0, 0]) * math.sqrt(gram[1, 1])
    return min(1.0, max(-1.0, float(gram[0, 1]) / lengths)) if lengths else None


def karcher_coefficients(
    gram: np.ndarray, weights: np.ndarray, iterations: int = 10, tolerance: float = 1e-5
) -> np.ndarray | None:
    """Return a such that sum_i a_i x_i / |x_i| is the weighted mean direction on the sphere: (n,) float64.

    It is the point u with the least sum of w_i angle(u, x_i)^2. From the direction of the plain mean, u moves along
    v = sum_i w_i T_i / sin T_i (x_i - cos T_i u), the mean of the logarithms: u <- cos |v| u + sin |v| v / |v|.

    Args:
        gram: (n, n) inner products; the vectors need not have unit length, but none is zero.
        weights: (n,) that sum to one.
        iterations: at most so many steps.
        tolerance: stop when |v| is less.

    Returns:
        None if there is no mean: the directions cancel out, or one is opposite to it.

    >>> karcher_coefficients(np.eye(2), np.array([0.5, 0.5])).round(6).tolist()
    [0.707107, 0.707107]
    """
    lengths = np.sqrt(np.diag(gram))
    cosines = np.clip(gram / np.outer(lengths, lengths), -1, 1)
    mean = np.array(weights, np.float64)
    size = math.sqrt(max(0.0, mean @ cosines @ mean))
    if size <= 1e-7:
        return None
    mean /= size
    for _ in range(iterations):
        along = np.clip(cosines @ mean, -1, 1)
        if (along <= 1e-7 - 1).any():
            return None
        angles = np.arccos(along)
        pull = weights / np.sinc(angles / np.pi)  # T / sin T, also at 0
        step = pull - (pull @ along) * mean
        length = math.sqrt(max(0.0, step @ cosines @ step))
        if length < tolerance:
            break
        mean = math.cos(length) * mean + math.sin(length) / length * step
        mean /= math.sqrt(mean @ cosines @ mean)
    return mean
