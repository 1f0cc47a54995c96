"""Ridge regression onto several targets from sums that grow: rows come in pieces, and targets may be added later.

W = (X^T X + lam I)^-1 X^T Y,    lam = ridge * mean of the diagonal of X^T X
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harmonia.core.errors import InputError
from harmonia.maths.ridge import penalties

if TYPE_CHECKING:
    from torch import Tensor


class RidgeRegression:
    """The sums X^T X and X^T Y in float64; rows are never held.

    Attributes:
        gram: X^T X: (d, d).
        products: X^T y of each target: (d, l).

    >>> import torch
    >>> seen = RidgeRegression(2, 2)
    >>> seen.add(torch.eye(2), torch.eye(2))
    >>> seen.solve(1.0).tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """

    def __init__(self, width: int, targets: int) -> None:
        self.gram = np.zeros((width, width))
        self.products = np.zeros((width, targets))

    def add(self, rows: Tensor, targets: Tensor) -> None:
        """Add rows: x (n, d) and y (n, l)."""
        x, y = (part.detach().double().cpu().numpy() for part in (rows, targets))
        self.gram += x.T @ x
        self.products += x.T @ y

    def add_class(self, rows: Tensor, target: int) -> None:
        """Add rows (n, d) of one class: y is 1 for its target, which may be the next new one, and 0 for the others."""
        if target == self.products.shape[1]:
            self.products = np.concatenate([self.products, np.zeros((len(self.gram), 1))], axis=1)
        x = rows.detach().double().cpu().numpy()
        self.gram += x.T @ x
        self.products[:, target] += x.sum(axis=0)

    def solve(self, ridge: float) -> np.ndarray:
        """Return W: (d, l) float64; of the smallest norm where the rows do not determine it and the ridge is 0.

        Raises:
            InputError: sums that are not finite.
        """
        if not (np.isfinite(self.gram).all() and np.isfinite(self.products).all()):
            raise InputError("states that are not finite cannot be regressed on: the model gives NaN or infinite ones")
        if ridge == 0:
            return np.linalg.pinv(self.gram, rcond=1e-12, hermitian=True) @ self.products
        return np.linalg.solve(self.gram + np.diag(penalties(self.gram, ridge, "layer")), self.products)
