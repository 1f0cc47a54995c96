"""The nearest matrix of low rank, of a product of thin factors or of a matrix that is given whole.

Nearest in the Frobenius norm: what stays are the largest singular values (Eckart & Young 1936). Of a product B A with
B = Q_b R_b and A^T = Q_a R_a they are those of R_b R_a^T, which is as small as the rank: B A itself is never formed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Truncated:
    """Factors of the nearest matrix; both have the roots of the singular values.

    Attributes:
        left: (out, r).
        right: (r, in).
        lost: squared Frobenius norm of what was cut.
        whole: squared Frobenius norm of the matrix.
    """

    left: Tensor
    right: Tensor
    lost: float
    whole: float


def truncated_product(left: Tensor, right: Tensor, rank: int) -> Truncated:
    """Return the nearest matrix to B A of a rank, in float64.

    Args:
        left: B, (out, k).
        right: A, (k, in).
        rank: most that it may have; at most min(k, out, in) is needed.

    >>> import torch
    >>> b, a = torch.tensor([[3.0, 0], [0, 1]]), torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    >>> found = truncated_product(b, a, 1)
    >>> (found.left @ found.right).round().tolist(), found.lost, found.whole
    ([[3.0, 0.0, 0.0], [0.0, 0.0, 0.0]], 1.0, 10.0)
    """
    import torch

    outer, b = torch.linalg.qr(left.double())
    inner, a = torch.linalg.qr(right.double().T)
    found = truncated_matrix(b @ a.T, rank)
    return Truncated(outer @ found.left, found.right @ inner.T, found.lost, found.whole)


def truncated_matrix(matrix: Tensor, rank: int) -> Truncated:
    """Return the nearest matrix of a rank: (out, in), in its own type."""
    import torch

    u, values, v = torch.linalg.svd(matrix, full_matrices=False)
    roots, squares = values[:rank].sqrt(), values.double().square()
    return Truncated(u[:, :rank] * roots, roots[:, None] * v[:rank], float(squares[rank:].sum()), float(squares.sum()))
