"""Greedy state of the correlation energy of DiSF, with every candidate set re-standardised, by an exact rank-one form.

The scatter of a set is a sum of outer products of increments ``y = sqrt(n/(n+1)) (x - mean)`` that never change, so

    F(S + x) n^2 = sum_ij (W . y_i y_j)^2 - sum_a (W_a s_a)^2,    s = diag of the scatter,  W = 1 / (s/n + eps)

needs three matrix products for all candidates, where the definition needs one d x d product for each (Fan et al. 2025).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from harmonia.maths.array_namespace import as_float64, namespace, take, to_numpy
from harmonia.maths.decorrelation import EPS, TIE

_BLOCK = 4096


class PerSetClimb:
    """Gains are the fall of ``F / (d (d - 1))``, the mean squared off-diagonal correlation of the set.

    F of one row is 0. Any two distinct rows have F = d (d - 1) but for eps, so with ``second="official"`` the second
    pick hangs on eps alone (and is a duplicate of the first, F = 0, where there is one); with ``"farthest"`` its gain
    is -1 plus a share of at most 2^-32 that grows with the distance to the first.

    Args:
        X: (m, d) candidate rows, d >= 2; array, tensor or matrix of floats. float32 computes in float32, except
            the second pick, which is always resolved in float64.
        eps: added to the variances.
        second: rule for the second pick.
        rank_limit: products of increments kept before the dense d x d form takes over; 2 d when None.
    """

    diminishing = False
    incremental = True

    def __init__(
        self,
        X: Any,
        eps: float = EPS,
        second: Literal["official", "farthest"] = "official",
        rank_limit: int | None = None,
    ) -> None:
        self.size, self._d = X.shape
        self._X = X
        self._eps = eps
        self._farthest = second == "farthest"
        self._limit = 2 * self._d if rank_limit is None else rank_limit
        self._n = 0
        self._energy = 0.0
        self._reach = 0.0

    def gains(self, rows: np.ndarray | None = None) -> np.ndarray:
        if self._n == 0:
            return np.zeros(self.size if rows is None else len(rows))
        if self._n == 1 and self._farthest:
            return TIE * self._scan(self._distances, rows) / (self._reach or 1.0) - 1
        return (self._energy - self._scan(self._energies, rows)) / (self._d * (self._d - 1))

    def add(self, row: int) -> None:
        x = take(self._X, np.array([row]))[0]
        xp = namespace(x)
        n = self._n
        if n == 0:
            self._mean = x + 0
            self._scatter = xp.zeros_like(x)
            self._Y = x[None][:0]
            self._P: Any = self._Y
            self._C: Any = None
            self._multiplicity = x[:0]
            self._n = 1
            if self._farthest:
                self._reach = float(self._scan(self._distances, None).max())
            return
        if n == 1 and self._farthest:
            # what the pair was taken for, so that gains still add up to the value of the set they end in
            self._energy = -float(self.gains(np.array([row]))[0]) * self._d * (self._d - 1)
        else:
            self._energy = float(self._energies(x[None])[0])
        y = (n / (n + 1)) ** 0.5 * (x - self._mean)
        self._scatter = self._scatter + y * y
        self._mean = self._mean + (x - self._mean) / (n + 1)
        self._n = n + 1
        if self._C is not None:
            self._C = self._C + y[:, None] * y[None, :]
        elif n * (n + 1) // 2 > self._limit:
            Y = xp.concatenate([self._Y, y[None]])
            self._C = Y.T @ Y
            self._P = None
        else:
            twice = xp.full_like(self._Y[:, 0], 2) if n > 1 else x[:0]
            self._P = xp.concatenate([self._P, self._Y * y, (y * y)[None]])
            self._multiplicity = xp.concatenate([self._multiplicity, twice, xp.ones_like(x[:1])])
            self._Y = xp.concatenate([self._Y, y[None]])

    def _scan(self, measure: Callable[[Any], np.ndarray], rows: np.ndarray | None) -> np.ndarray:
        """Return the measure of these rows (all when None), block by block."""
        out = np.empty(self.size if rows is None else len(rows))
        for start in range(0, len(out), _BLOCK):
            part = slice(start, min(start + _BLOCK, len(out)))
            out[part] = measure(take(self._X, part if rows is None else np.asarray(rows)[part]))
        return out

    def _energies(self, X: Any) -> np.ndarray:
        """Return F(S + row) of a block of rows: (r,) float64."""
        n, mean, scatter = self._n, self._mean, self._scatter
        if n == 1:
            X, mean, scatter = as_float64(X), as_float64(mean), as_float64(scatter)
        Y = (n / (n + 1)) ** 0.5 * (X - mean)
        squares = Y * Y
        s = scatter + squares
        W = 1 / (s / n + self._eps)
        own = (W * squares).sum(-1)
        diagonal = W * s
        F = own * own - (diagonal * diagonal).sum(-1)
        if n > 1:
            U = W * Y
            if self._C is None:
                pairs = W @ self._P.T
                cross = U @ self._Y.T
                F = F + (pairs * pairs) @ self._multiplicity + 2 * (cross * cross).sum(-1)
            else:
                F = F + ((W @ (self._C * self._C)) * W).sum(-1) + 2 * ((U @ self._C) * U).sum(-1)
        return to_numpy(F, np.float64) / n**2

    def _distances(self, X: Any) -> np.ndarray:
        """Return the squared distance of a block of rows to the first pick: (r,) float64."""
        gaps = X - self._mean
        return to_numpy((gaps * gaps).sum(-1), np.float64)
