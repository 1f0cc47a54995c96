"""Removing inputs of a linear layer one after the other, each time repairing what stays as well as can be.

With P = G^-1 the least error that the removal of a run h of inputs adds is ``tr(W_h (P_hh)^-1 W_h^T)``, and afterwards
``W -= W_h (P_hh)^-1 P_h:`` and ``P -= P_:h (P_hh)^-1 P_h:`` (optimal brain surgeon: Hassibi et al. 1993; in runs:
Kurtic et al. 2023). With ``P_hh = L L^T``, ``u = P_:h L^-T`` and ``v = W_h L^-T`` these are ``P -= u u^T`` and
``W -= v u^T``. Both wait until enough have come for one large product; only the runs of P and of W^T W on the diagonal,
which tell the errors, are kept up to date.
"""

from __future__ import annotations

import numpy as np

from harmonia.maths.interpolation import SingularError, factor

WAITING = 64
"""Columns of u that are gathered before they are applied."""


def inverse(gram: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """Return ``(gram + diag(penalty))^-1`` by Cholesky, symmetric; an input that is always 0 stands alone, with a one.

    Raises:
        SingularError: the matrix is singular.
    """
    from scipy.linalg.lapack import dpotri

    L, r = factor(gram, penalty)
    lower, wrong = dpotri(L, lower=1, overwrite_c=1)
    if wrong:
        raise SingularError
    lower = np.tril(lower)
    whole = lower + np.tril(lower, -1).T
    return whole * r * r[:, None]


def removal_errors(blocks: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Return ``tr(W_h (P_hh)^-1 W_h^T)`` of each run: (n, run, run) of P and of W^T W -> (n,).

    >>> removal_errors(np.array([[[2.]], [[4.]]]), np.array([[[6.]], [[4.]]])).tolist()
    [3.0, 1.0]
    """
    if blocks.shape[1] == 1:
        return products[:, 0, 0] / blocks[:, 0, 0]
    return np.trace(np.linalg.solve(blocks, products), axis1=1, axis2=2)


class Removal:
    """A layer whose runs of inputs are removed one by one.

    Args:
        weight: (d_out, d).
        gram: (d, d), sum of x x^T, about the means where a bias is free.
        penalty: (d,) ridge, at least 0.
        run: columns of a unit.

    Raises:
        SingularError: the inputs are dependent, and not penalised.

    >>> G, W = np.array([[6., 3, 14], [3, 3, 10], [14, 10, 39]]), np.array([[1., 2, 1], [0, 1, -1]])
    >>> removal = Removal(W, G, np.zeros(3))
    >>> removal.errors().round(6).tolist()
    [0.176471, 0.394737, 0.666667]
    >>> removal.remove(2)
    >>> removal.weight.round(6).tolist()
    [[2.333333, 4.0], [-1.333333, -1.0]]
    """

    _blocks: np.ndarray
    _products: np.ndarray
    _u: np.ndarray
    _v: np.ndarray

    def __init__(self, weight: np.ndarray, gram: np.ndarray, penalty: np.ndarray, run: int = 1) -> None:
        self._run = run
        self._P = inverse(gram, penalty)
        # what an input that is always 0 feeds is never seen
        self._W = np.where(np.diag(gram) > 0, weight, 0.0)
        self.left = np.arange(len(gram) // run)
        """Units that are still there, (n,)."""
        self._settle()

    def errors(self) -> np.ndarray:
        """Return what the removal of each unit of ``left`` adds to the least squared error, at least 0: (n,)."""
        return np.maximum(removal_errors(self._blocks[self._alive], self._products[self._alive]), 0)

    def remove(self, unit: int) -> None:
        """Take a unit away, by its number."""
        from scipy.linalg import solve_triangular

        place = int(np.searchsorted(self._held, unit))
        where = slice(place * self._run, (place + 1) * self._run)
        L = np.linalg.cholesky(self._blocks[place])
        P, W = self._P[:, where] - self._u @ self._u[where].T, self._W[:, where] - self._v @ self._u[where].T
        u = solve_triangular(L, P.T, lower=True, check_finite=False).T
        v = solve_triangular(L, W.T, lower=True, check_finite=False).T
        # W^T W of each run, with W - v u^T in place of W
        seen = (self._W.T @ v - self._u @ (self._v.T @ v)).reshape(-1, self._run, self._run)
        runs = u.reshape(-1, self._run, self._run)
        turned = runs.transpose(0, 2, 1)
        cross = seen @ turned
        self._products += runs @ (v.T @ v) @ turned - cross - cross.transpose(0, 2, 1)
        self._blocks -= runs @ turned
        self._u, self._v = np.hstack([self._u, u]), np.hstack([self._v, v])
        self._alive[place] = False
        self.left = self._held[self._alive]
        if self._u.shape[1] >= WAITING:
            self._apply()

    @property
    def weight(self) -> np.ndarray:
        """The repaired weights of what is left: (d_out, n run)."""
        self._apply()
        return self._W

    def _apply(self) -> None:
        """Carry out what waits, and drop what is gone."""
        columns = np.repeat(self._alive, self._run)
        u = self._u[columns]
        self._P = self._P[np.ix_(columns, columns)] - u @ u.T
        self._W = self._W[:, columns] - self._v @ u.T
        self._settle()

    def _settle(self) -> None:
        n, d = len(self.left), len(self.left) * self._run
        self._held, self._alive = self.left, np.ones(n, bool)
        self._u, self._v = np.empty((d, 0)), np.empty((len(self._W), 0))
        places = np.arange(d).reshape(n, self._run)
        self._blocks = self._P[places[:, :, None], places[:, None, :]]
        runs = self._W.T.reshape(n, self._run, len(self._W))
        self._products = runs @ runs.transpose(0, 2, 1)


def removal_order(
    weight: np.ndarray, gram: np.ndarray, penalty: np.ndarray, run: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return the units in the order in which greedy removal takes them, and what each adds to the error then.

    The first r of them are what greedy removes at r, so one order serves every ratio. Of equal units the last goes
    first.

    Args:
        weight: (d_out, d).
        gram: (d, d).
        penalty: (d,).
        run: columns of a unit.

    Returns:
        (units,) int64 and (units,) float64, at least 0.

    Raises:
        SingularError: the inputs are dependent, and not penalised.
    """
    removal = Removal(weight, gram, penalty, run)
    order, added = [], []
    while len(removal.left):
        errors = removal.errors()
        last = len(errors) - 1 - int(np.argmin(errors[::-1]))
        order.append(int(removal.left[last]))
        added.append(float(errors[last]))
        removal.remove(order[-1])
    return np.array(order, np.int64), np.array(added)
