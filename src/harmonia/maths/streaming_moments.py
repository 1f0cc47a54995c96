"""Mean and Gram matrix of rows that come in pieces.

Products are made in the type of the rows and added in float64. They are taken about the mean m of the first piece,

    G = sum (x - m)(x - m)^T + m s^T + s m^T + n m m^T,    s = sum (x - m),

so that what is left when the mean is subtracted from G has the digits of the variance, not of the second moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

PIECE = 4096
"""Rows of one product: float32 sums of this many terms keep five digits at worst."""


class StreamingMoments:
    """Sums over rows.

    >>> import torch
    >>> moments = StreamingMoments()
    >>> moments.add(torch.tensor([[1.0, 2.0], [3.0, 2.0]], dtype=torch.float64))
    >>> moments.add(torch.tensor([[5.0, 2.0]], dtype=torch.float64))
    >>> moments.count, moments.mean().tolist(), moments.gram().tolist()
    (3, [3.0, 2.0], [[35.0, 18.0], [18.0, 12.0]])
    """

    def __init__(self) -> None:
        self.count = 0
        self._about: Tensor | None = None
        self._sum: Tensor | None = None
        self._products: Tensor | None = None
        self._waiting: list[Tensor] = []

    def add(self, rows: Tensor) -> None:
        """Add rows: (n, d). They are held until there are enough for a product."""
        import torch

        if not len(rows):
            return
        if self._about is None:
            width = rows.shape[1]
            self._about = rows.mean(dim=0, dtype=torch.float64).to(rows.dtype)
            self._sum = torch.zeros(width, dtype=torch.float64, device=rows.device)
            self._products = torch.zeros(width, width, dtype=torch.float64, device=rows.device)
        assert self._sum is not None
        self.count += len(rows)
        for piece in rows.split(PIECE):
            if sum(map(len, self._waiting)) + len(piece) > PIECE:
                self._multiply()
            centred = piece - self._about
            self._sum += centred.sum(dim=0, dtype=torch.float64)
            self._waiting.append(centred)

    def _multiply(self) -> None:
        """Add the products of the rows that wait."""
        import torch

        if not self._waiting:
            return
        assert self._products is not None
        centred = torch.cat(self._waiting)
        self._waiting = []
        if centred.is_cuda:
            self._products += centred.T @ centred
        else:
            # numpy sees that the product is symmetric and makes one half of it
            rows = centred.numpy()
            self._products += torch.from_numpy(rows.T @ rows)

    def mean(self) -> np.ndarray:
        """Return the mean of the rows: (d,) float64."""
        assert self._about is not None and self._sum is not None
        return (self._about.double() + self._sum / self.count).cpu().numpy()

    def gram(self) -> np.ndarray:
        """Return the sum of x x^T: (d, d) float64, symmetric."""
        self._multiply()
        assert self._about is not None and self._sum is not None and self._products is not None
        about = self._about.double()
        half = about[:, None] * (self._sum + self.count * about / 2)
        gram = self._products + half + half.T
        return ((gram + gram.T) / 2).cpu().numpy()
