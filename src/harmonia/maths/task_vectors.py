"""How task vectors, tau_i = theta_i - theta_0, disagree: norms, angles, and where their signs conflict.

Sums over elements that are added piece by piece, so that a tensor of any size is measured in the memory of a piece.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Disagreement:
    """Of n experts over the elements seen so far.

    Attributes:
        experts: n.
        size: elements seen.
        base: ||theta_0||^2.
        gram: tau_i . tau_j: (n, n) float64.
        conflicts: elements at which one expert moves up and another down.

    >>> import torch
    >>> seen = Disagreement(2)
    >>> seen.add(torch.tensor([3.0, 4.0]), torch.tensor([[1.0, 0.0], [-1.0, 1.0]]))
    >>> seen.norms.round(3).tolist(), seen.cosines.round(3).tolist(), seen.sign_conflict
    ([1.0, 1.414], [[1.0, -0.707], [-0.707, 1.0]], 0.5)
    """

    experts: int
    size: int = 0
    base: float = 0.0
    gram: np.ndarray = field(default_factory=lambda: np.zeros(0))
    conflicts: int = 0

    def __post_init__(self) -> None:
        if not self.gram.size:
            self.gram = np.zeros((self.experts, self.experts))

    def add(self, base: Tensor, tasks: Tensor) -> None:
        """Add elements.

        Args:
            base: theta_0: (m,).
            tasks: tau: (n, m).
        """
        rows = tasks.double()
        for i, j in combinations_with_replacement(range(self.experts), 2):
            product = float(rows[i].dot(rows[j]))  # one at a time: faster than a product of so flat a matrix
            self.gram[i, j] += product
            if i != j:
                self.gram[j, i] += product
        theta = base.double()
        self.base += float(theta.dot(theta))
        self.size += len(base)
        self.conflicts += int(((tasks.amax(dim=0) > 0) & (tasks.amin(dim=0) < 0)).sum())

    def __add__(self, other: Self) -> Disagreement:
        """Return the sums over the elements of both."""
        return Disagreement(
            self.experts,
            self.size + other.size,
            self.base + other.base,
            self.gram + other.gram,
            self.conflicts + other.conflicts,
        )

    @property
    def norms(self) -> np.ndarray:
        """||tau_i||: (n,)."""
        return np.sqrt(np.diag(self.gram))

    @property
    def relative_norms(self) -> np.ndarray:
        """||tau_i|| / ||theta_0||: (n,); near sqrt(2) for a model that has nothing to do with the base."""
        length = np.sqrt(self.base)
        return self.norms / (length if length > 0 else 1.0)

    @property
    def cosines(self) -> np.ndarray:
        """Cosine of every pair: (n, n); 0 with an expert that does not move, which opposes nothing."""
        lengths = np.where(self.norms > 0, self.norms, 1.0)
        return (self.gram / np.outer(lengths, lengths)).clip(-1, 1)

    @property
    def sign_conflict(self) -> float:
        """Share of the elements at which one expert moves up and another down, in [0, 1]."""
        return self.conflicts / max(self.size, 1)
