"""How representative each neuron of a layer is of the others, by kernels on its output weights (R2 of R2D2).

Minimises over C >= 0 how far ``K C`` is from K, by multiplicative steps ``C <- C sqrt(K / (K C))`` from equal entries;
R2_i = C_ii. Kernelised convex masking: Nova, Dai & Schuurmans 2023 (arXiv 2303.04185).
"""

from __future__ import annotations

import numpy as np

TINY = 1e-300


def kernel(rows: np.ndarray, width: float | None = None) -> np.ndarray:
    """Return ``exp(-|w_i - w_j|^2 / width)``: (d, n) rows -> (d, d).

    Args:
        rows: w_i.
        width: sigma^2; None takes the median squared distance between different rows.

    >>> kernel(np.array([[0.], [1.], [0.]]), 1.0).round(4).tolist()
    [[1.0, 0.3679, 1.0], [0.3679, 1.0, 0.3679], [1.0, 0.3679, 1.0]]
    """
    squares = np.einsum("ij,ij->i", rows, rows)
    distances = np.maximum(squares[:, None] + squares - 2 * rows @ rows.T, 0)
    np.fill_diagonal(distances, 0)
    if width is None:
        others = distances[np.triu_indices(len(rows), 1)]
        width = float(np.median(others)) if len(others) else 0.0
    return np.exp(-distances / (width or 1.0))


def pivoted(K: np.ndarray, rank: int) -> np.ndarray:
    """Return U with ``U U^T`` near K, by Cholesky with pivots on the largest remainder: (d, at most rank).

    >>> U = pivoted(np.array([[1., 1, 0], [1, 1, 0], [0, 0, 1]]), 3)
    >>> U.shape, (U @ U.T).tolist()
    ((3, 2), [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    """
    d = len(K)
    U, remainder = np.zeros((d, min(rank, d))), np.diag(K).copy()
    for k in range(U.shape[1]):
        i = int(np.argmax(remainder))
        if remainder[i] < 1e-12:
            return U[:, :k]
        U[:, k] = (K[:, i] - U[:, :k] @ U[i, :k]) / np.sqrt(remainder[i])
        remainder -= U[:, k] ** 2
    return U


def representatives(K: np.ndarray, tolerance: float, steps: int, rank: int | None = None) -> np.ndarray:
    """Return R2_i = C_ii, between 0 and 1: (d, d) kernel -> (d,).

    Args:
        K: kernel, entries at least 0.
        tolerance: stop when ``|sum (C_new - C)| < tolerance * sum |C|``.
        steps: stop after so many.
        rank: of ``K ~ U U^T`` in the product K C; None for the exact product.

    >>> representatives(np.array([[1., 1, 0], [1, 1, 0], [0, 0, 1]]), 1e-9, 99).round(6).tolist()
    [0.5, 0.5, 1.0]
    """
    C = np.full_like(K, 1 / len(K))
    U = None if rank is None else pivoted(K, rank)
    for _ in range(steps):
        product = K @ C if U is None else U @ (U.T @ C)
        new = C * np.sqrt(K / np.maximum(product, TINY))
        change, whole = abs(float(new.sum() - C.sum())), float(np.abs(C).sum())
        C = new
        if change < tolerance * whole:
            break
    return np.diag(C).copy()
