"""Least squares of an output from some of its inputs, for many sets of inputs from one Cholesky factor.

With H = G + diag(p) and B = sum x y^T + diag(p) W^T the minimiser over W' of
``sum |y - W' x_S|^2 + sum_j p_j |W'_j - W_j|^2`` is ``W'^T = H_SS^-1 B_S``. For y = W x it is ``W_S + W_R A^T`` with
``A = (G_SS + diag p_S)^-1 G_SR``, the ridge regression of removed inputs on kept ones, and A need not be formed.

For sets S_1 < S_2 < ... in one another, the factor of H in an order that begins with S_1, goes on with the rest of S_2,
and so on, has the factors of all H_SS in its corners, and the forward substitution of B serves all of them; only the
substitution backward is done for each.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SINGULAR = 1e-13
"""A squared pivot below this, of a matrix with a diagonal of ones, is rounding: its input is a mixture of others."""


class SingularError(ValueError):
    """Some kept inputs are linear mixtures of others, and no ridge tells them apart."""


def is_chain(sets: Sequence[np.ndarray]) -> bool:
    """Whether each set is part of the next.

    >>> is_chain([np.array([1]), np.array([0, 1])]), is_chain([np.array([0]), np.array([1, 2])])
    (True, False)
    """
    return all(np.isin(small, large).all() for small, large in itertools.pairwise(sets))


def factor(gram: np.ndarray, penalty: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return L and r with ``L L^T = diag(r) (gram + diag(penalty)) diag(r)``, whose diagonal is one: (n, n) and (n,).

    An input that is always 0 gets a row of the identity, so nothing is put on it.

    Raises:
        SingularError: the matrix is singular.
    """
    from scipy.linalg import LinAlgError, cholesky

    diagonal = np.diag(gram) + penalty
    empty = diagonal <= 0
    r = 1 / np.sqrt(np.where(empty, 1, diagonal))
    # in the layout that LAPACK reads, so that it works in place; the matrix is symmetric
    matrix = (gram * r * r[:, None]).T
    matrix[np.diag_indices(len(matrix))] = np.where(empty, 1, diagonal * r * r)
    try:
        L = cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError as error:
        raise SingularError from error
    if len(L) and np.diag(L).min() ** 2 < SINGULAR:
        raise SingularError
    return L, r


class Nested:
    """A problem with a chain of keep sets, in the order in which the sets grow, for many penalties.

    Args:
        gram: (d, d), sum of x x^T.
        wished: (d, d_out), sum of x y^T; ``gram @ weight.T`` where y = W x.
        weight: (d_out, d).
        chain: keep sets, each part of the next.

    Attributes:
        order: (n,) inputs of the largest set; each set is the first of them, as many as it has.
        own: (n, d_out) of the weights, in this order.
    """

    def __init__(self, gram: np.ndarray, wished: np.ndarray, weight: np.ndarray, chain: Sequence[np.ndarray]) -> None:
        self.order = chain[0]
        for larger in chain[1:]:
            self.order = np.concatenate([self.order, np.setdiff1d(larger, self.order)])
        self.gram = gram[np.ix_(self.order, self.order)]
        self.own = np.ascontiguousarray(weight[:, self.order].T)
        self._wished = wished[self.order]

    def factored(self, penalty: np.ndarray) -> Factored:
        """Factor under a penalty; what the solutions of all sets share is done here.

        Args:
            penalty: (n,) p in the order of the chain, at least 0.

        Raises:
            SingularError: inputs of the largest set are dependent, and not penalised.
        """
        from scipy.linalg import solve_triangular

        L, r = factor(self.gram, penalty)
        right = self._wished + penalty[:, None] * self.own
        right *= r[:, None]
        empty = np.diag(self.gram) + penalty <= 0
        right[empty] = self.own[empty]
        forward = solve_triangular(L, right, lower=True, overwrite_b=True, check_finite=False)
        return Factored(L, r, forward, penalty, self.own, empty)


@dataclass(frozen=True)
class Factored:
    """Solutions of all sets of a chain under one penalty; made by ``Nested.factored``."""

    factor: np.ndarray
    scale: np.ndarray
    forward: np.ndarray
    penalty: np.ndarray
    own: np.ndarray
    empty: np.ndarray

    def solution(self, s: int) -> np.ndarray:
        """Return the best weights of the first s inputs, transposed: (s, d_out)."""
        from scipy.linalg import solve_triangular

        corner = self.factor[:s, :s]
        found: np.ndarray = solve_triangular(corner, self.forward[:s], lower=True, trans="T", check_finite=False)
        found *= self.scale[:s, None]
        return found

    def left(self, solution: np.ndarray, whole: float) -> float:
        """Return sum |y - W' x_S|^2 of a solution.

        The least value of what is minimised is that of nothing, sum |y|^2 + sum_j p_j |W_j|^2, less the square of the
        right side after the substitution forward; without the penalty's share it is the error.

        Args:
            solution: (s, d_out), as ``solution`` returns it.
            whole: sum |y|^2.
        """
        s, penalty, own = len(solution), self.penalty, self.own
        forward = self.forward[:s][~self.empty[:s]].reshape(-1)  # what is never there takes nothing away
        penalised = np.einsum("s,so,so->", penalty[:s], solution, 2 * own[:s] - solution)
        return max(0.0, float(whole - forward @ forward + penalised))


def repaired(
    gram: np.ndarray, wished: np.ndarray, weight: np.ndarray, penalty: np.ndarray, chain: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Return the best weights of each set of kept inputs: (d_out, s) each, columns in the order of the set.

    Args:
        gram: (d, d), sum of x x^T.
        wished: (d, d_out), sum of x y^T; ``gram @ weight.T`` where y = W x.
        weight: (d_out, d).
        penalty: (d,) p, at least 0.
        chain: keep sets, each part of the next.

    Raises:
        SingularError: inputs of the largest set are dependent, and not penalised.

    >>> G, W = np.array([[6., 3, 14], [3, 3, 10], [14, 10, 39]]), np.array([[1., 2, 1], [0, 1, -1]])
    >>> repaired(G, G @ W.T, W, np.zeros(3), [np.array([0, 1])])[0].round(6).tolist()
    [[2.333333, 4.0], [-1.333333, -1.0]]
    """
    nested = Nested(gram, wished, weight, chain)
    factored = nested.factored(penalty[nested.order])
    return [in_order(nested.order, kept, factored.solution(len(kept))) for kept in chain]


def in_order(order: np.ndarray, kept: np.ndarray, solution: np.ndarray) -> np.ndarray:
    """Return a solution in the order of its set: (s, d_out) of ``order[:s]`` -> (d_out, s) of ``kept``."""
    first = order[: len(kept)]
    place = np.argsort(first)
    return np.ascontiguousarray(solution[place[np.searchsorted(first, kept, sorter=place)]].T)


def residual(gram: np.ndarray, weight: np.ndarray, kept: np.ndarray) -> float:
    """Return ``tr(W_R (G_RR - G_RS G_SS^-1 G_SR) W_R^T)``, what least squares on the kept inputs leaves.

    Args:
        gram: (d, d), about the means for an affine map.
        weight: (d_out, d).
        kept: (s,) indices.

    Raises:
        SingularError: the kept inputs are dependent.

    >>> G, W = np.array([[6., 3, 14], [3, 3, 10], [14, 10, 39]]), np.array([[1., 2, 1], [0, 1, -1]])
    >>> round(residual(G, W, np.array([0, 1])), 9)
    0.666666667
    """
    from scipy.linalg import solve_triangular

    removed = np.setdiff1d(np.arange(len(gram)), kept)
    L, r = factor(gram[np.ix_(kept, kept)], np.zeros(len(kept)))
    shared = solve_triangular(L, r[:, None] * (gram[np.ix_(kept, removed)] @ weight[:, removed].T), lower=True)
    whole = np.einsum(
        "or,rq,oq->", weight[:, removed], gram[np.ix_(removed, removed)], weight[:, removed], optimize=True
    )
    return max(0.0, float(whole - (shared**2).sum()))
