"""Four measures of how correlated the features of a set are, by their definitions; small is spread out.

With unit diagonal ``sum_a (lambda_a - 1)^2 = ||C||_F^2 - d``, so a small Frobenius norm of the feature correlation
means equal eigenvalues: no dimensional collapse (DiSF, Fan et al. 2025).
"""

from __future__ import annotations

import numpy as np

EPS = 1e-8
"""Added to variances."""
TIE = 2.0**-32
"""Largest share of a gain that distance decides where all pairs of rows are worth the same."""


def moment_energy(U: np.ndarray) -> float:
    """Return ``||U^T U||_F^2 = sum_ij (u_i . u_j)^2`` of the rows U (n, d), from the smaller of the two products.

    For unit rows it lies between ``n^2 / min(n, d)`` and ``n^2``.

    >>> moment_energy(np.array([[1., 0.], [0., 1.], [.6, .8]]))
    5.0
    """
    U = np.asarray(U)
    product = U @ U.T if U.shape[0] < U.shape[1] else U.T @ U
    return float(np.square(product, dtype=np.float64).sum())


def correlation_energy(X: np.ndarray, eps: float = EPS) -> float:
    """Return the sum of squared off-diagonal correlations of the columns of X (n, d); 0 for fewer than two rows.

    Columns are centred and divided by ``sqrt(variance + eps)``, the variance unbiased, as in the code of DiSF: a
    column that is constant in X contributes nothing, and two equal rows have energy 0.
    """
    X = np.asarray(X, np.float64)
    n = len(X)
    if n < 2:
        return 0.0
    Z = X - X.mean(axis=0)
    variance = np.square(Z).sum(axis=0) / (n - 1)
    Z /= np.sqrt(variance + eps)
    return moment_energy(Z) / (n - 1) ** 2 - float(np.square(variance / (variance + eps)).sum())


def covariance_energy(X: np.ndarray) -> float:
    """Return ``||C||_F^2``, C the unbiased covariance of the columns of X (n, d); 0 for fewer than two rows."""
    X = np.asarray(X, np.float64)
    return moment_energy(X - X.mean(axis=0)) / (len(X) - 1) ** 2 if len(X) > 1 else 0.0


def inverse_participation(X: np.ndarray) -> float:
    """Return ``||C||_F^2 / tr(C)^2``, one over the participation ratio; 0 for one row, 1 for equal rows."""
    X = np.asarray(X, np.float64)
    if len(X) < 2:
        return 0.0
    Z = X - X.mean(axis=0)
    trace = float(np.square(Z).sum())
    return moment_energy(Z) / trace**2 if trace > 0 else 1.0
