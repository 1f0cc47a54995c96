"""Greedy states of the raw covariance energy ``||C_S||_F^2`` and of its scale-free form ``||C_S||_F^2 / tr(C_S)^2``.

With g = X x_p after every pick, the running sums ``r = X s`` (s the sum of the set) and ``a_j = sum_i (x_j . x_i)^2``,
and ``h = X (X_S^T X_S s)``, the scatter energy of every candidate set follows in closed form: two products with the
pool per pick. The pool must be centred beforehand, and all is float64, because the closed form cancels.
"""

from __future__ import annotations

import numpy as np

from harmonia.maths.decorrelation import TIE
from harmonia.maths.rows import Matrix, blocks
from harmonia.maths.scaled_rows import BLOCK


class CovarianceClimb:
    """Gains are the fall of ``scale ||C||_F^2``, C the unbiased covariance of the set; one row has energy 0.

    Args:
        X: (m, d) candidate rows of a centred pool.
        scale: factor of the energy.
    """

    diminishing = False
    incremental = True

    def __init__(self, X: Matrix, scale: float = 1.0) -> None:
        self.size = X.shape[0]
        self._X = X
        self._scale = scale
        self._norms = np.concatenate([np.einsum("nd,nd->n", x, x) for _, x in blocks(X, BLOCK, np.float64)])
        self._r = np.zeros(self.size)
        self._a = np.zeros(self.size)
        self._chosen = np.empty((0, X.shape[1]))
        self._energy = 0.0
        self._trace = 0.0

    def gains(self, rows: np.ndarray | None = None) -> np.ndarray:
        index = slice(0, self.size) if rows is None else np.asarray(rows)
        n = len(self._chosen)
        if n == 0:
            return np.zeros(len(self._norms[index]))
        return self._level(n, self._energy, self._trace) - self._candidates(n + 1, *self._grown(index))

    def add(self, row: int) -> None:
        index = np.array([row])
        if len(self._chosen):
            energy, trace = self._grown(index)
            self._energy, self._trace = float(energy[0]), float(trace[0])
        x = np.asarray(self._X[index], np.float64)
        g = self._project(x[0], slice(0, self.size))
        self._r += g
        self._a += g * g
        self._chosen = np.concatenate([self._chosen, x])

    def _level(self, n: int, energy: float, trace: float) -> float:
        """Return the value to be kept small of the current set of n rows."""
        return self._scale * energy / (n - 1) ** 2 if n > 1 else 0.0

    def _candidates(self, n: int, energy: np.ndarray, trace: np.ndarray) -> np.ndarray:
        """Return that value for candidate sets of n >= 2 rows."""
        return self._scale * energy / (n - 1) ** 2

    def _grown(self, index: slice | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the squared Frobenius norm and the trace of the scatter of S + row, for every row."""
        n = len(self._chosen)
        s = self._chosen.sum(axis=0)
        t = self._chosen.T @ (self._chosen @ s)
        h = self._project(t, index)
        mbar = s @ s / n**2
        xm = self._r[index] / n
        q = (self._a[index] - n * xm**2) - 2 * (h / n - n * xm * mbar) + (s @ t / n**2 - n * mbar**2)
        y = (self._norms[index] - 2 * xm + mbar) * (n / (n + 1))
        return self._energy + 2 * q * (n / (n + 1)) + y**2, self._trace + y

    def _project(self, vector: np.ndarray, index: slice | np.ndarray) -> np.ndarray:
        if isinstance(index, np.ndarray):
            return np.asarray(self._X[index], np.float64) @ vector
        return np.concatenate([x @ vector for _, x in blocks(self._X, BLOCK, np.float64)])


class ParticipationClimb(CovarianceClimb):
    """Gains are the fall of ``||C||_F^2 / tr(C)^2``, one over the participation ratio of the set.

    Two rows always have the value 1, so the gain of the second pick is -1 plus a share of at most 2^-32 that grows with
    its distance to the first: the farthest is taken.
    """

    def _level(self, n: int, energy: float, trace: float) -> float:
        if n < 2:
            return 0.0
        return energy / trace**2 if trace > 0 else 1.0

    def _candidates(self, n: int, energy: np.ndarray, trace: np.ndarray) -> np.ndarray:
        if n == 2:
            # |x - x_1|^2 / 2 is at most twice the largest squared norm
            return 1 - TIE * trace / (2 * self._norms.max(initial=0.0) or 1.0)
        return np.divide(energy, trace**2, out=np.ones_like(energy), where=trace > 0)
