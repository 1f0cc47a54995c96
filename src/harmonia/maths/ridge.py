"""How large a ridge is for each input: relative to the input's own square, to the mean of all, or absolute."""

from __future__ import annotations

from typing import Literal

import numpy as np

Relative = Literal["channel", "layer", "nothing"]


def penalties(gram: np.ndarray, ridge: float, relative_to: Relative) -> np.ndarray:
    """Return lam_j of each input: (d, d) -> (d,).

    Args:
        gram: sum of x x^T, about the means where a bias is free.
        ridge: rho, at least 0.
        relative_to: channel: rho G_jj, so that few large inputs do not decide for all, and units do not matter. layer:
            rho times the mean of G_jj. nothing: rho.

    >>> G = np.diag([1., 3.])
    >>> [penalties(G, 0.5, to).tolist() for to in ("channel", "layer", "nothing")]
    [[0.5, 1.5], [1.0, 1.0], [0.5, 0.5]]
    """
    diagonal = np.diag(gram)
    if relative_to == "channel":
        return ridge * diagonal
    return np.full(len(diagonal), ridge * diagonal.mean() if relative_to == "layer" else ridge)
