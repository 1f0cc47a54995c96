"""The simplex equiangular tight frame: C unit vectors that are all equally far apart.

    W = sqrt(C / (C - 1)) U (I - 11^T / C),   U^T U = I,   W^T W = (C I - 11^T) / (C - 1),   W 1 = 0

It is where class means and classifiers of well trained networks end up (neural collapse, arXiv 2008.08186).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from harmonia.core.errors import InputError


def simplex_etf(
    classes: int,
    features: int,
    random: np.random.Generator | None = None,
    basis: Literal["qr", "canonical"] = "qr",
) -> np.ndarray:
    """Return the class vectors as columns: (d, C) float64.

    What is orthogonal to 1 has C - 1 dimensions, so d = C - 1 features are enough: with the Helmert matrix H, whose
    C - 1 rows are an orthonormal basis of it, U (I - 11^T / C) = (U H^T) H, and U H^T is any matrix of C - 1
    orthonormal columns. Here it comes from a Gaussian matrix, its signs fixed: the same generator gives the same frame
    on every machine up to rounding, as a basis from a singular value decomposition, all values being equal, would not.

    Args:
        classes: C, at least 2.
        features: d, at least C - 1.
        random: draws the directions; needed by ``basis="qr"``.
        basis: qr for a random direction of the frame; canonical for U of the first C unit vectors, which needs d >= C.

    Raises:
        InputError: fewer than two classes, or too few features.

    >>> simplex_etf(3, 3, basis="canonical").round(3).tolist()
    [[0.816, -0.408, -0.408], [-0.408, 0.816, -0.408], [-0.408, -0.408, 0.816]]
    """
    if classes < 2:
        raise InputError(f"a simplex of {classes} classes: give at least 2")
    least = classes if basis == "canonical" else classes - 1
    if features < least:
        raise InputError(
            f"{classes} classes at equal angles (basis={basis}) need at least {least} features, and the model gives "
            f"{features}: widen its last layer or take head=linear"
        )
    stretch = math.sqrt(classes / (classes - 1))
    if basis == "canonical":
        frame = np.zeros((features, classes))
        frame[:classes] = stretch * (np.eye(classes) - 1 / classes)
        return frame
    if random is None:
        raise InputError("basis=qr draws its directions: give a random generator")
    columns, triangle = np.linalg.qr(random.standard_normal((features, classes - 1)))
    return stretch * (columns * np.sign(np.diag(triangle))) @ _helmert(classes)


def _helmert(size: int) -> np.ndarray:
    """Return an orthonormal basis of what is orthogonal to the ones: (size - 1, size)."""
    row = np.arange(1, size)[:, None]
    column = np.arange(size)[None]
    return (np.where(column < row, 1.0, 0.0) - np.where(column == row, row, 0)) / np.sqrt(row * (row + 1))
