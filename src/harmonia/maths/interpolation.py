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

    matrix = gram + np.diag(penalty)
    diagonal = np.diag(matrix)
    empty = diagonal <= 0
    r = 1 / np.sqrt(np.where(empty, 1, diagonal))
    matrix *= r
    matrix *= r[:, None]
    matrix[empty, empty] = 1
    try:
        L = cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError as error:
        raise SingularError from error
    if len(L) and np.diag(L).min() ** 2 < SINGULAR:
        raise SingularError
    return L, r


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
    from scipy.linalg import solve_triangular

    order = chain[0]
    for larger in chain[1:]:
        order = np.concatenate([order, np.setdiff1d(larger, order)])
    L, r = factor(gram[np.ix_(order, order)], penalty[order])
    own = weight[:, order].T
    right = r[:, None] * (wished[order] + penalty[order, None] * own)
    empty = np.diag(gram)[order] + penalty[order] <= 0
    right[empty] = own[empty]
    forward = solve_triangular(L, right, lower=True, check_finite=False)
    found = []
    for kept in chain:
        s = len(kept)
        solution = solve_triangular(L[:s, :s], forward[:s], lower=True, trans="T", check_finite=False) * r[:s, None]
        place = np.argsort(order[:s])
        found.append(solution[place[np.searchsorted(order[:s], kept, sorter=place)]].T)
    return found


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
