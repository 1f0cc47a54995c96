"""Domain weights that chase the largest excess loss, by mirror descent on the simplex (group DRO).

a_d <- a_d exp(eta l_d) / sum, then a <- (1 - c) a + c / D; the answer is the mean over steps. Here l_d is the mean over
the tokens of domain d of max(0, loss of the proxy - loss of the reference). Xie et al. 2023, DoReMi (arXiv 2305.10429);
Sagawa et al. 2020 (arXiv 1911.08731).
"""

from __future__ import annotations

import numpy as np

from harmonia.core.errors import InputError


def mirror_step(weights: np.ndarray, excess: np.ndarray, eta: float = 1.0, smoothing: float = 1e-4) -> np.ndarray:
    """Return the weights after one step of exponentiated gradient and smoothing.

    Args:
        weights: (D,) on the simplex.
        excess: (D,) excess loss per domain in nats per token.
        eta: step size; 0 leaves the weights, smoothing apart.
        smoothing: share c in [0, 1] that is spread evenly.

    Returns:
        (D,) float64 on the simplex, each at least c / D.

    Raises:
        InputError: an excess is not finite.

    >>> mirror_step(np.array([.5, .5]), np.array([.2, 0.])).round(6).tolist()
    [0.549829, 0.450171]
    """
    excess = np.asarray(excess, np.float64)
    if not np.isfinite(excess).all():
        raise InputError(f"the excess loss of domain {int(np.flatnonzero(~np.isfinite(excess))[0])} is not finite")
    push = eta * excess
    grown = np.asarray(weights, np.float64) * np.exp(push - push.max())
    return (1 - smoothing) * grown / grown.sum() + smoothing / len(grown)


class MirrorAscent:
    """The weights now, and their mean over the steps so far.

    Args:
        domains: number of domains D; the weights start equal.
        eta: step size.
        smoothing: share that is spread evenly at each step.
    """

    def __init__(self, domains: int, eta: float = 1.0, smoothing: float = 1e-4) -> None:
        self.eta = eta
        self.smoothing = smoothing
        self.weights = np.full(domains, 1 / domains)
        self.steps = 0
        self._sum = np.zeros(domains)

    def update(self, excess: np.ndarray) -> np.ndarray:
        """Take one step and return the new weights: (D,)."""
        self.weights = mirror_step(self.weights, excess, self.eta, self.smoothing)
        self._sum += self.weights
        self.steps += 1
        return self.weights

    @property
    def mean(self) -> np.ndarray:
        """The mean over steps: (D,); the starting weights before the first."""
        return self._sum / self.steps if self.steps else self.weights
