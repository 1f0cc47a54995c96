"""Spectra of feature covariances: how many directions a set of vectors really uses.

The scatter of any number of rows is gathered block by block in float64 (Chan, Golub & LeVeque 1983); from its
eigenvalues come the effective rank (Roy & Vetterli 2007), the participation ratio, the dominance score of the largest
eigenvalues, and the distance to a flat spectrum, ``sum_a (lambda_a / mean - 1)^2 = ||C||_F^2 / mean^2 - d``.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from harmonia.maths.rows import Matrix, blocks


class Scatter:
    """Mean and scatter matrix ``sum (x - mean)(x - mean)^T`` of the rows seen so far, d x d float64.

    >>> scatter = Scatter(1).add(np.array([[1.], [3.]]))
    >>> scatter.mean.tolist(), scatter.covariance().tolist()
    ([2.0], [[2.0]])
    """

    def __init__(self, d: int) -> None:
        self.n = 0
        self.mean = np.zeros(d)
        self.matrix = np.zeros((d, d))

    @classmethod
    def of(cls, matrix: Matrix, block: int = 8192) -> Scatter:
        """Return the scatter of all rows of a matrix, in one pass."""
        scatter = cls(matrix.shape[1])
        for _, rows in blocks(matrix, block, np.float64):
            scatter.add(rows)
        return scatter

    def add(self, rows: np.ndarray) -> Self:
        """Take in a block of rows, (m, d)."""
        if len(rows):
            part = Scatter(len(self.mean))
            rows = np.asarray(rows, np.float64)
            part.n, part.mean = len(rows), rows.mean(axis=0)
            part.matrix = (rows - part.mean).T @ (rows - part.mean)
            self.merge(part)
        return self

    def merge(self, other: Scatter) -> Self:
        """Take in the rows of another scatter."""
        n = self.n + other.n
        if other.n:
            shift = other.mean - self.mean
            self.matrix += other.matrix + np.outer(shift, shift) * (self.n * other.n / n)
            self.mean = self.mean + shift * (other.n / n)
            self.n = n
        return self

    def covariance(self) -> np.ndarray:
        """Return the unbiased covariance, (d, d); zero for fewer than two rows."""
        return self.matrix / max(self.n - 1, 1)

    def correlation(self) -> np.ndarray:
        """Return the correlation, (d, d); a constant column has no correlation, not even with itself."""
        deviation = np.sqrt(np.diag(self.matrix))
        slope = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)
        return self.matrix * slope[:, None] * slope


def eigenvalues(symmetric: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of a positive semi-definite matrix, largest first; rounding below zero is cut off."""
    return np.maximum(np.linalg.eigvalsh(symmetric)[::-1], 0.0)


def effective_rank(spectrum: np.ndarray) -> float:
    """Return ``exp(-sum p log p)`` with p the eigenvalues over their sum; 0 for an all-zero spectrum.

    >>> round(effective_rank(np.array([1., 1., 0.])), 9)
    2.0
    """
    total = spectrum.sum()
    if total == 0:
        return 0.0
    p = spectrum[spectrum > 0] / total
    return float(np.exp(-(p * np.log(p)).sum()))


def participation_ratio(spectrum: np.ndarray) -> float:
    """Return ``(sum lambda)^2 / sum lambda^2``, between 1 and d; 0 for an all-zero spectrum.

    >>> participation_ratio(np.array([1., 1., 0.]))
    2.0
    """
    total = spectrum.sum()
    return float(1 / ((spectrum / total) ** 2).sum()) if total > 0 else 0.0


def dominance(spectrum: np.ndarray, t: int) -> float:
    """Return the share of the t largest eigenvalues in their sum, D(t) of DiSF; 0 for an all-zero spectrum.

    >>> dominance(np.array([1., 3.]), 1)
    0.75
    """
    total = spectrum.sum()
    return float(np.sort(spectrum)[::-1][:t].sum() / total) if total > 0 else 0.0


def eigen_uniformity(spectrum: np.ndarray) -> float:
    """Return ``sum_a (lambda_a / mean - 1)^2``: 0 when the spectrum is flat, ``d (d - 1)`` when it has rank one.

    For a correlation matrix R the mean is 1 and this is ``||R||_F^2 - d``, the sum of squared correlations.
    """
    mean = spectrum.mean()
    return float(((spectrum / mean - 1) ** 2).sum()) if mean > 0 else 0.0
